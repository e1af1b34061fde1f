from solutions.conditions import expression, off_by_one

RESULTS = {
    "sum": "sum(v)",
    "min": "min(v)",
    "max": "max(v)",
    "mean": "sum(v) / len(v)",
    "product": "product(v)",
    "range": "(max(v) - min(v))",
    "count": "len(v)",
}
TRANSFORMS = {
    None: "x",
    "square": "x ** 2",
    "absolute": "(x if x >= 0 else -x)",
    "double_plus_one": "x + x + 1",
    "negate": "0 - x",
    "minus_seven": "x - 7",
    "last_digit": "int(str(x)[-1])",
    "half": "(x - x % 2) // 2",
}
PRODUCT = """
def product(values):
    result = 1
    for value in values:
        result *= value
    return result
"""
COMPREHENSION = """
def solve(nums):
    v = [TERM for x in nums if CONDITION]
    if not v:
        return EMPTY
    return RESULT
"""
LOOP = """
def solve(nums):
    v = []
    for x in nums:
        if not (CONDITION):
            continue
        v.append(TERM)
    return RESULT if len(v) > 0 else EMPTY
"""
MAPPED = """
def solve(nums: list[int]):
    v = list(map(lambda x: TERM, filter(lambda x: CONDITION, nums)))
    try:
        0 / len(v)
    except ZeroDivisionError:
        return EMPTY
    return RESULT
"""


def right(task):
    return {
        name: _fill(source, **task.parameters)
        for name, source in (("comprehension", COMPREHENSION), ("loop", LOOP), ("map", MAPPED))
    }


def wrong(task):
    parameters = dict(task.parameters)
    predicate, transform, results = (parameters[k] for k in ("predicate", "transform", "results"))
    # None is not 0 and 0 is: these answers for no numbers are wrong whatever the right one is.
    other_empty = 0 if parameters["empty"] is None else None
    changes = {"another value for no numbers": {"empty": other_empty}}
    for other in RESULTS:
        if other not in results:
            changes[f"{other} instead"] = {"results": (other, *results[1:])}
    if predicate is not None:
        changes["ignores the condition"] = {"predicate": None}
        changes["the opposite condition"] = {"predicate": ("not", predicate)}
        if predicate[0] in ("and", "or"):
            changes["first part only"] = {"predicate": predicate[1]}
            changes["second part only"] = {"predicate": predicate[2]}
        elif off_by_one(predicate) is not None and _matters(parameters, off_by_one(predicate)):
            changes["off by one"] = {"predicate": off_by_one(predicate)}
    if transform is not None:
        changes["not replaced"] = {"transform": None}
    if len(results) == 2:
        changes["first only"] = {"results": results[:1]}
        changes["swapped"] = {"results": results[::-1]}
    programs = {
        name: _fill(COMPREHENSION, **{**parameters, **change}) for name, change in changes.items()
    }
    base = right(task)["comprehension"]
    programs["crashes on no numbers"] = base.replace("    if not v:", "    v[0]\n    if not v:")
    programs["the last number is skipped"] = base.replace("in nums", "in nums[:-1]")
    programs["the first number is skipped"] = base.replace("in nums", "in nums[1:]")
    if not set(results) <= {"min", "max", "range"}:
        programs["each number once"] = base.replace("in nums", "in set(nums)")
    if "mean" in results:
        programs["whole mean"] = base.replace("sum(v) / len(v)", "sum(v) // len(v)")
    if "product" in results:
        programs["product from 0"] = base.replace("result = 1\n", "result = 0\n")
    programs["text"] = base + "\nnumber = solve\ndef solve(nums):\n    return str(number(nums))\n"
    return programs


def _matters(parameters, predicate):
    """Adding a 0 to a sum is no mistake."""
    lists = [[x, y] for x in range(-30, 31) for y in (x, 25, -26)]
    changed = {**parameters, "predicate": predicate}
    return any(brute(nums, **parameters) != brute(nums, **changed) for nums in lists)


def _fill(source, results, transform, predicate, empty):
    text = " - ".join(RESULTS[result] for result in results)
    source = source.replace("RESULT", text).replace("EMPTY", repr(empty))
    source = source.replace("TERM", TRANSFORMS[transform])
    return PRODUCT + source.replace("CONDITION", expression(predicate))


def brute(nums, **parameters):
    namespace = {}
    exec(_fill(LOOP, **parameters), namespace)
    return namespace["solve"](nums)
