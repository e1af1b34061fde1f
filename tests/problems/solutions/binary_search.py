RIGHT = {
    "two bounds": """
def binary_search(nums, target):
    low, high = 0, len(nums) - 1
    while low <= high:
        mid = (low + high) // 2
        if nums[mid] == target:
            return mid
        if nums[mid] < target:
            low = mid + 1
        else:
            high = mid - 1
    return -1
""",
    "bisect": """
from bisect import bisect_left

def binary_search(nums, target):
    i = bisect_left(nums, target)
    return i if i < len(nums) and nums[i] == target else -1
""",
    "last occurrence": """
def binary_search(nums, target):
    for i in range(len(nums) - 1, -1, -1):
        if nums[i] == target:
            return i
    return -1
""",
    "recursion": """
def binary_search(nums, target):
    def search(low, high):
        if low >= high:
            return -1
        mid = (low + high) // 2
        if nums[mid] == target:
            return mid
        return search(mid + 1, high) if nums[mid] < target else search(low, mid)
    return search(0, len(nums))
""",
}
WRONG = {
    "misses one element": """
def binary_search(nums, target):
    low, high = 0, len(nums) - 1
    while low < high:
        mid = (low + high) // 2
        if nums[mid] == target:
            return mid
        if nums[mid] < target:
            low = mid + 1
        else:
            high = mid - 1
    return -1
""",
    "insertion point": """
from bisect import bisect_left

def binary_search(nums, target):
    return bisect_left(nums, target)
""",
    "crashes beyond the end": """
from bisect import bisect_left

def binary_search(nums, target):
    i = bisect_left(nums, target)
    return i if nums[i] == target else -1
""",
    "true or false": "def binary_search(nums, target):\n    return target in nums\n",
    "none if absent": """
def binary_search(nums, target):
    return nums.index(target) if target in nums else None
""",
    "wrong half": """
def binary_search(nums, target):
    low, high = 0, len(nums) - 1
    while low <= high:
        mid = (low + high) // 2
        if nums[mid] == target:
            return mid
        if nums[mid] > target:
            low = mid + 1
        else:
            high = mid - 1
    return -1
""",
    "index within the half": """
def binary_search(nums, target):
    if not nums:
        return -1
    mid = len(nums) // 2
    if nums[mid] == target:
        return mid
    if nums[mid] > target:
        return binary_search(nums[:mid], target)
    return binary_search(nums[mid + 1:], target)
""",
    "never finds the first": """
def binary_search(nums, target):
    low, high = 1, len(nums) - 1
    while low <= high:
        mid = (low + high) // 2
        if nums[mid] == target:
            return mid
        if nums[mid] < target:
            low = mid + 1
        else:
            high = mid - 1
    return -1
""",
    "counts from one": """
def binary_search(nums, target):
    return nums.index(target) + 1 if target in nums else -1
""",
    "negative index": """
def binary_search(nums, target):
    return nums.index(target) - len(nums) if target in nums else -1
""",
}


def brute(nums, target):
    return next((i for i, n in enumerate(nums) if n == target), -1)
