RIGHT = {
    "seen": """
def remove_duplicates(nums):
    seen, result = set(), []
    for n in nums:
        if n not in seen:
            seen.add(n)
            result.append(n)
    return result
""",
    "dictionary": "def remove_duplicates(nums):\n    return list(dict.fromkeys(nums))\n",
    "by index": """
def remove_duplicates(nums):
    return [n for i, n in enumerate(nums) if nums.index(n) == i]
""",
    "sorted by first place": """
def remove_duplicates(nums):
    return sorted(set(nums), key=nums.index)
""",
}
WRONG = {
    "set": "def remove_duplicates(nums):\n    return list(set(nums))\n",
    "sorted": "def remove_duplicates(nums):\n    return sorted(set(nums))\n",
    "neighbours": """
def remove_duplicates(nums):
    return [n for i, n in enumerate(nums) if i == 0 or n != nums[i - 1]]
""",
    "last occurrence": """
def remove_duplicates(nums):
    return [n for i, n in enumerate(nums) if n not in nums[i + 1:]]
""",
    "only those that occur once": """
def remove_duplicates(nums):
    return [n for n in nums if nums.count(n) == 1]
""",
    "how many": "def remove_duplicates(nums):\n    return len(set(nums))\n",
    "removes while iterating": """
def remove_duplicates(nums):
    for n in nums:
        if nums.count(n) > 1:
            nums.remove(n)
    return nums
""",
    "a set": "def remove_duplicates(nums):\n    return set(nums)\n",
    "a tuple": "def remove_duplicates(nums):\n    return tuple(dict.fromkeys(nums))\n",
    "two pointers of the sorted task": """
def remove_duplicates(nums):
    if not nums:
        return []
    i = 0
    for j in range(1, len(nums)):
        if nums[j] != nums[i]:
            i += 1
            nums[i] = nums[j]
    return nums[:i + 1]
""",
    "crashes on empty": """
def remove_duplicates(nums):
    result = [nums[0]]
    for n in nums[1:]:
        if n not in result:
            result.append(n)
    return result
""",
    "unchanged": "def remove_duplicates(nums):\n    return nums\n",
}


def brute(nums):
    result = []
    for n in nums:
        result += [n] * (not any(n == kept for kept in result))
    return result
