KEYS = {
    "value": "x",
    "absolute": "(x if x > 0 else -x)",
    "distance": "max(x - K, K - x)",
    "last_digit": "int(str(x)[-1])",
    "remainder": "x - (x // K) * K",
    "digit_sum": "sum(int(d) for d in str(x).replace('-', ''))",
}
GROUPS = {
    None: "False",
    "even": "x % 2 != 0",
    "odd": "x % 2 == 0",
    "negative": "x >= 0",
}
HEADER = """
K = {k}
def key(x):
    return {key}
def later(x):
    return {group}
"""
ONE_SORT = """
def solve(nums):
    result = sorted(nums, key=lambda x: (later(x), SIGN key(x)TIE))
    UNIQUE
    return result[:LIMIT]
"""
TWO_SORTS = """
def solve(nums):
    result = list(nums)
    PRESORT
    result.sort(key=key, reverse=DESCENDING)
    result = [x for x in result if not later(x)] + [x for x in result if later(x)]
    UNIQUE
    return result[:LIMIT]
"""
INSERTION = """
def before(x, y):
    if later(x) != later(y):
        return later(y)
    a, b = key(x), key(y)
    if a != b:
        return SIGN a < SIGN b
    return BEFORE

def solve(nums):
    result = []
    for x in nums:
        i = len(result)
        while i > 0 and before(x, result[i - 1]):
            i -= 1
        result.insert(i, x)
    UNIQUE
    return result[:LIMIT]
"""
KEEP_FIRST = "result = [x for i, x in enumerate(result) if x not in result[:i]]"


def right(task):
    sources = {"one sort": ONE_SORT, "two sorts": TWO_SORTS, "insertion": INSERTION}
    return {name: _fill(source, **task.parameters) for name, source in sources.items()}


def wrong(task):
    parameters = task.parameters
    changes = {
        "the other direction": {"descending": not parameters["descending"]},
        "repetitions the other way": {"unique": not parameters["unique"]},
    }
    if parameters["key"] != "value":
        changes["by value"] = {"key": "value"}
        other = "smaller" if parameters["ties"] == "stable" else "stable"
        changes["ties the other way"] = {"ties": other}
    if parameters["key"] != "absolute":
        changes["by absolute value"] = {"key": "absolute"}
    if parameters["group"] is not None:
        changes["ignores the group"] = {"group": None}
    if parameters["limit"] is not None:
        changes["one too few"] = {"limit": parameters["limit"] - 1}
        changes["all of them"] = {"limit": None}
    programs = {
        name: _fill(ONE_SORT, **{**parameters, **change}) for name, change in changes.items()
    }
    base = _fill(ONE_SORT, **parameters)
    programs["returns nothing"] = "def solve(nums):\n    return nums.sort()\n"
    programs["unchanged"] = "def solve(nums):\n    return nums\n"
    programs["by text"] = base.replace(
        "sorted(nums, key=lambda x: (", "sorted(nums, key=lambda x: (str(x), "
    )
    programs["the last number is lost"] = base.replace("sorted(nums,", "sorted(nums[:-1],")
    programs["crashes on empty"] = base.replace("def solve(nums):", "def solve(nums):\n    nums[0]")
    programs["one pass of bubbles"] = """
def solve(nums):
    for i in range(len(nums) - 1):
        if nums[i] > nums[i + 1]:
            nums[i], nums[i + 1] = nums[i + 1], nums[i]
    return nums
"""
    programs["returns keys"] = (
        base + "\norder = solve\ndef solve(nums):\n    return [key(x) + 1 for x in order(nums)]\n"
    )
    return programs


def _fill(source, key, k, descending, ties, unique, limit, group):
    header = HEADER.format(k=k, key=KEYS[key], group=GROUPS[group])
    replacements = {
        "SIGN": "-" if descending else "",
        "TIE": ", x" if ties == "smaller" else "",
        "BEFORE": "x < y" if ties == "smaller" else "False",
        "PRESORT": "result.sort()" if ties == "smaller" else "pass",
        "DESCENDING": repr(descending),
        "UNIQUE": KEEP_FIRST if unique else "pass",
        "LIMIT": repr(limit),
    }
    for name, text in replacements.items():
        source = source.replace(name, text)
    return header + source


def brute(nums, **parameters):
    namespace = {}
    exec(_fill(INSERTION, **parameters), namespace)
    return namespace["solve"](nums)
