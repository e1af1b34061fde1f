RIGHT = {
    "every end": """
def lis(nums):
    if not nums:
        return 0
    dp = [1] * len(nums)
    for i in range(len(nums)):
        for j in range(i):
            if nums[j] < nums[i]:
                dp[i] = max(dp[i], dp[j] + 1)
    return max(dp)
""",
    "bisect": """
from bisect import bisect_left

def lis(nums):
    tails = []
    for x in nums:
        i = bisect_left(tails, x)
        if i == len(tails):
            tails.append(x)
        else:
            tails[i] = x
    return len(tails)
""",
    "recursion with memory": """
from functools import lru_cache

def lis(nums):
    @lru_cache(None)
    def go(i, last):
        if i == len(nums):
            return 0
        best = go(i + 1, last)
        if last == -1 or nums[i] > nums[last]:
            best = max(best, 1 + go(i + 1, i))
        return best
    return go(0, -1)
""",
    "common subsequence with the sorted set": """
def lis(nums):
    target = sorted(set(nums))
    row = [0] * (len(target) + 1)
    for x in nums:
        before = row[:]
        for j, y in enumerate(target):
            row[j + 1] = before[j] + 1 if x == y else max(row[j], before[j + 1])
    return row[-1]
""",
}

ENDS = """
def lis(nums):
    if not nums:
        return 0
    dp = [{one}] * len(nums)
    for i in range({first}, {last}):
        for j in range(i):
            if nums[j] {before} nums[i]:
                dp[i] = max(dp[i], dp[j] + 1)
    return {result}
"""
PLAIN = {"one": "1", "first": "0", "last": "len(nums)", "before": "<", "result": "max(dp)"}
WRONG = {
    "ties count": ENDS.format(**{**PLAIN, "before": "<="}),
    "decreasing": ENDS.format(**{**PLAIN, "before": ">"}),
    "must end at the last": ENDS.format(**{**PLAIN, "result": "dp[-1]"}),
    "starts at zero": ENDS.format(**{**PLAIN, "one": "0"}),
    "one too many": ENDS.format(**{**PLAIN, "result": "max(dp) + 1"}),
    "last element left out": ENDS.format(**{**PLAIN, "last": "len(nums) - 1"}),
    "the table": ENDS.format(**{**PLAIN, "result": "dp"}),
    "no empty list": ENDS.format(**PLAIN).replace("    if not nums:\n        return 0\n", ""),
    "empty list is one": ENDS.format(**PLAIN).replace("return 0", "return 1"),
    "bisect, ties count": """
from bisect import bisect_right

def lis(nums):
    tails = []
    for x in nums:
        i = bisect_right(tails, x)
        tails[i:i + 1] = [x]
    return len(tails)
""",
    "rising run": """
def lis(nums):
    best = run = min(1, len(nums))
    for i in range(1, len(nums)):
        run = run + 1 if nums[i] > nums[i - 1] else 1
        best = max(best, run)
    return best
""",
    "count of rises": """
def lis(nums):
    return bool(nums) + sum(x < y for x, y in zip(nums, nums[1:]))
""",
    "greedy from the first": """
def lis(nums):
    chain = []
    for x in nums:
        if not chain or x > chain[-1]:
            chain.append(x)
    return len(chain)
""",
    "greedy from every start": """
def lis(nums):
    best = 0
    for i in range(len(nums)):
        last, count = nums[i], 1
        for x in nums[i + 1:]:
            if x > last:
                last, count = x, count + 1
        best = max(best, count)
    return best
""",
    "different numbers": "def lis(nums):\n    return len(set(nums))\n",
    "extends the neighbour alone": """
def lis(nums):
    dp = [1] * len(nums)
    for i in range(1, len(nums)):
        dp[i] = dp[i - 1] + 1 if nums[i] > nums[i - 1] else dp[i - 1]
    return max(dp, default=0)
""",
    "the subsequence itself": """
def lis(nums):
    best = []
    ends = []
    for x in nums:
        chain = max((c for c in ends if c[-1] < x), key=len, default=[]) + [x]
        ends.append(chain)
        best = max(best, chain, key=len)
    return best
""",
    "the examples": """
def lis(nums):
    return 3 if len(nums) == 6 else 1
""",
    "all subsequences": """
def lis(nums):
    calls = [0]
    def go(i, last):
        calls[0] += 1
        if calls[0] > 20000:
            raise TimeoutError
        if i == len(nums):
            return 0
        best = go(i + 1, last)
        if last is None or nums[i] > last:
            best = max(best, 1 + go(i + 1, nums[i]))
        return best
    return go(0, None)
""",
}
WRONG_FROM = {"all subsequences": 6}
BRUTE_SIZE = 45


def brute(nums):
    from itertools import combinations, pairwise

    for size in range(len(nums), 0, -1):
        for part in combinations(nums, size):
            if all(x < y for x, y in pairwise(part)):
                return size
    return 0
