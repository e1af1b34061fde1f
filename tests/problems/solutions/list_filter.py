from solutions.conditions import PLACES, expression, off_by_one

COMPREHENSION = """
def solve(nums):
    return [x for i, x in enumerate(nums) if CONDITION and PLACE]
"""
LOOP = """
def solve(nums):
    result = []
    for i in range(len(nums)):
        x = nums[i]
        if PLACE:
            if CONDITION:
                result.append(x)
    return result
"""
FILTER = """
def solve(nums: list) -> list:
    def keep(entry):
        i, x = entry
        return (CONDITION) and (PLACE)
    return [x for _, x in filter(keep, enumerate(nums))]
"""


def right(task):
    return {
        name: _fill(source, **task.parameters)
        for name, source in (("comprehension", COMPREHENSION), ("loop", LOOP), ("filter", FILTER))
    }


def wrong(task):
    predicate, place = task.parameters["predicate"], task.parameters["place"]
    body = "[x for i, x in enumerate(nums) if CONDITION and PLACE]"
    programs = {
        "the opposite": "[x for i, x in enumerate(nums) if not (CONDITION) and PLACE]",
        "sorted": f"sorted({body})",
        "the last number is skipped": "[x for i, x in enumerate(nums[:-1]) if CONDITION and PLACE]",
        "how many": f"len({body})",
        "a tuple": f"tuple({body})",
        "indices": "[i for i, x in enumerate(nums) if CONDITION and PLACE]",
        "everything": "list(nums)",
        "none if empty": f"{body} or None",
    }
    if place not in ("once",):
        programs["each number once"] = f"list(dict.fromkeys({body}))"
    if place is not None:
        programs["ignores the place"] = "[x for x in nums if CONDITION]"
        programs["ignores the condition"] = "[x for i, x in enumerate(nums) if PLACE]"
    if predicate[0] in ("and", "or"):
        programs["first part only"] = body.replace("CONDITION", expression(predicate[1]))
        programs["second part only"] = body.replace("CONDITION", expression(predicate[2]))
    changed = off_by_one(predicate)
    if changed is not None and predicate[0] not in ("and", "or") and place is None:
        programs["off by one"] = body.replace("CONDITION", expression(changed))
    sources = {name: f"def solve(nums):\n    return {text}\n" for name, text in programs.items()}
    if place is None:
        sources["removes while iterating"] = """
def solve(nums):
    for x in nums:
        if not (CONDITION):
            nums.remove(x)
    return nums
"""
    return {name: _fill(source, predicate, place) for name, source in sources.items()}


def _fill(source, predicate, place):
    return source.replace("CONDITION", expression(predicate)).replace("PLACE", PLACES[place])


def brute(nums, *, predicate, place):
    namespace = {}
    exec(_fill(LOOP, predicate, place), namespace)
    return namespace["solve"](nums)
