"""Six easy types whose problems differ in operators, predicates, numbers, names and wording."""

from axiom_rl.problems.types.easy import (
    arithmetic,
    list_aggregate,
    list_filter,
    list_sort,
    parentheses,
    rpn,
)

TYPES = (
    arithmetic.TYPE,
    rpn.TYPE,
    parentheses.TYPE,
    list_sort.TYPE,
    list_filter.TYPE,
    list_aggregate.TYPE,
)
