"""Conditions of the list types as Python source: written apart from `easy.predicates`."""

EXPRESSIONS = {
    "even": "x % 2 == 0",
    "odd": "x % 2 != 0",
    "positive": "x > 0",
    "negative": "x < 0",
    "above": "x > {0}",
    "below": "x < {0}",
    "at_least": "x >= {0}",
    "at_most": "x <= {0}",
    "multiple": "x % {0} == 0",
    "not_multiple": "x % {0} != 0",
    "between": "x >= {0} and x <= {1}",
    "outside": "not ({0} <= x <= {1})",
    "far": "(x > {0} or x < -{0})",
    "near": "(-{0} <= x <= {0})",
    "remainder": "(x - 1) % {0} == 0",
    "last_digit": "int(str(x)[-1]) >= {0}",
    "digit_sum": "sum(int(d) for d in str(x) if d != '-') % 2 == 1",
}
PLACES = {
    None: "True",
    "even_index": "i % 2 == 0",
    "odd_index": "i % 2 == 1",
    "once": "nums.count(x) == 1",
    "rises": "i > 0 and x > nums[i - 1]",
    "falls": "i > 0 and x < nums[i - 1]",
    "seen": "x in nums[:i]",
}


def expression(predicate):
    if predicate is None:
        return "True"
    name, *rest = predicate
    if name == "not":
        return f"(not {expression(rest[0])})"
    if name in ("and", "or"):
        return f"({expression(rest[0])} {name} {expression(rest[1])})"
    return "(" + EXPRESSIONS[name].format(*rest) + ")"


def off_by_one(predicate):
    """The predicate with its first constant one larger; None where it has no constant."""
    for place, part in enumerate(predicate):
        if isinstance(part, int):
            return (*predicate[:place], part + 1, *predicate[place + 1 :])
        if isinstance(part, tuple):
            changed = off_by_one(part)
            if changed is not None:
                return (*predicate[:place], changed, *predicate[place + 1 :])
    return None
