"""Ten basic functions, one file per type: the first rung, and the project's default job."""

from axiom_rl.problems.types.basic import (
    binary_search,
    fibonacci,
    fizzbuzz,
    is_palindrome,
    max_subarray,
    merge_sorted_arrays,
    remove_duplicates,
    reverse_string,
    two_sum,
    valid_parentheses,
)

TYPES = (
    two_sum.TYPE,
    fizzbuzz.TYPE,
    reverse_string.TYPE,
    is_palindrome.TYPE,
    max_subarray.TYPE,
    fibonacci.TYPE,
    binary_search.TYPE,
    valid_parentheses.TYPE,
    merge_sorted_arrays.TYPE,
    remove_duplicates.TYPE,
)
