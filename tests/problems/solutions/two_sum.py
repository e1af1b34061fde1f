RIGHT = {
    "dictionary": """
def two_sum(nums, target):
    seen = {}
    for i, n in enumerate(nums):
        if target - n in seen:
            return [seen[target - n], i]
        seen[n] = i
""",
    "two loops": """
def two_sum(nums, target):
    for i in range(len(nums)):
        for j in range(i + 1, len(nums)):
            if nums[i] + nums[j] == target:
                return [i, j]
    return []
""",
    "two pointers, larger index first": """
from typing import List

def two_sum(nums: List[int], target: int) -> List[int]:
    order = sorted(range(len(nums)), key=lambda i: nums[i])
    low, high = 0, len(nums) - 1
    while low < high:
        total = nums[order[low]] + nums[order[high]]
        if total == target:
            return sorted([order[low], order[high]], reverse=True)
        if total < target:
            low += 1
        else:
            high -= 1
""",
    "index from the rest": """
def two_sum(nums, target):
    for i, n in enumerate(nums):
        rest = nums[i + 1:]
        if target - n in rest:
            return [i, i + 1 + rest.index(target - n)]
""",
}
WRONG = {
    "same element twice": """
def two_sum(nums, target):
    for i, n in enumerate(nums):
        if target - n in nums:
            return [i, nums.index(target - n)]
""",
    "values": """
def two_sum(nums, target):
    for i in range(len(nums)):
        for j in range(i + 1, len(nums)):
            if nums[i] + nums[j] == target:
                return [nums[i], nums[j]]
""",
    "neighbours only": """
def two_sum(nums, target):
    for i in range(len(nums) - 1):
        if nums[i] + nums[i + 1] == target:
            return [i, i + 1]
    return []
""",
    "assumes sorted": """
def two_sum(nums, target):
    low, high = 0, len(nums) - 1
    while low < high:
        total = nums[low] + nums[high]
        if total == target:
            return [low, high]
        if total < target:
            low += 1
        else:
            high -= 1
    return []
""",
    "indices of the sorted list": """
def two_sum(nums, target):
    nums = sorted(nums)
    low, high = 0, len(nums) - 1
    while low < high:
        total = nums[low] + nums[high]
        if total == target:
            return [low, high]
        if total < target:
            low += 1
        else:
            high -= 1
""",
    "counts from one": """
def two_sum(nums, target):
    for i in range(len(nums)):
        for j in range(i + 1, len(nums)):
            if nums[i] + nums[j] == target:
                return [i + 1, j + 1]
""",
    "dictionary filled first, skips equal pairs": """
def two_sum(nums, target):
    last = {n: i for i, n in enumerate(nums)}
    for n in nums:
        if target - n in last and target - n != n:
            return [last[n], last[target - n]]
""",
    "the examples": """
def two_sum(nums, target):
    return [0, 1] if nums[0] + nums[1] == target else [1, 2]
""",
}


def brute(nums, target):
    from itertools import combinations

    return next([i, j] for i, j in combinations(range(len(nums)), 2) if nums[i] + nums[j] == target)
