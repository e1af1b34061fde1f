RIGHT = {
    "kadane": """
def max_subarray(nums):
    best = current = nums[0]
    for n in nums[1:]:
        current = max(n, current + n)
        best = max(best, current)
    return best
""",
    "prefix sums": """
def max_subarray(nums):
    total, lowest, best = 0, 0, float('-inf')
    for n in nums:
        total += n
        best = max(best, total - lowest)
        lowest = min(lowest, total)
    return best
""",
    "divide and conquer": """
def max_subarray(nums):
    if len(nums) == 1:
        return nums[0]
    mid = len(nums) // 2
    def cross(part):
        best, total = part[0], 0
        for n in part:
            total += n
            best = max(best, total)
        return best
    middle = cross(nums[:mid][::-1]) + cross(nums[mid:])
    return max(max_subarray(nums[:mid]), max_subarray(nums[mid:]), middle)
""",
    "all parts": """
def max_subarray(nums):
    return max(sum(nums[i:j]) for i in range(len(nums)) for j in range(i + 1, len(nums) + 1))
""",
}
WRONG = {
    "starts at zero": """
def max_subarray(nums):
    best = current = 0
    for n in nums:
        current = max(0, current + n)
        best = max(best, current)
    return best
""",
    "sum of positives": """
def max_subarray(nums):
    positives = [n for n in nums if n > 0]
    return sum(positives) if positives else max(nums)
""",
    "stops at the first dip": """
def max_subarray(nums):
    best, current = max(nums), 0
    for n in nums:
        current = current + n if n > 0 else 0
        best = max(best, current) if current else best
    return best
""",
    "whole list": "def max_subarray(nums):\n    return sum(nums)\n",
    "largest element": "def max_subarray(nums):\n    return max(nums)\n",
    "returns the part": """
def max_subarray(nums):
    parts = [nums[i:j] for i in range(len(nums)) for j in range(i + 1, len(nums) + 1)]
    return max(parts, key=sum)
""",
    "last element left out": """
def max_subarray(nums):
    return max(
        sum(nums[i:j]) for i in range(len(nums)) for j in range(i + 1, max(len(nums), i + 2))
    )
""",
    "returns the running sum": """
def max_subarray(nums):
    current = nums[0]
    for n in nums[1:]:
        current = max(n, current + n)
    return current
""",
    "prefixes only": """
def max_subarray(nums):
    best, total = nums[0], 0
    for n in nums:
        total += n
        best = max(best, total)
    return best
""",
    "two elements at least": """
def max_subarray(nums):
    return max(
        (sum(nums[i:j]) for i in range(len(nums)) for j in range(i + 2, len(nums) + 1)), default=0
    )
""",
}


def brute(nums):
    best = None
    for length in range(1, len(nums) + 1):
        for start in range(len(nums) - length + 1):
            total = sum(nums[start : start + length])
            best = total if best is None or total > best else best
    return best
