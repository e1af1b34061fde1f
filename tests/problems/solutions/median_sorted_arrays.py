RIGHT = {
    "sorted": """
def median_sorted_arrays(a, b):
    nums = sorted(a + b)
    n = len(nums)
    if n % 2 == 1:
        return float(nums[n // 2])
    return (nums[n // 2 - 1] + nums[n // 2]) / 2
""",
    "merged": """
def median_sorted_arrays(a, b):
    merged, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        if a[i] < b[j]:
            merged.append(a[i])
            i += 1
        else:
            merged.append(b[j])
            j += 1
    merged += a[i:] + b[j:]
    return (merged[(len(merged) - 1) // 2] + merged[len(merged) // 2]) / 2.0
""",
    "binary search": """
def median_sorted_arrays(a, b):
    if len(a) > len(b):
        a, b = b, a
    inf = float('inf')
    low, high, half = 0, len(a), (len(a) + len(b) + 1) // 2
    while True:
        i = (low + high) // 2
        j = half - i
        left_a = a[i - 1] if i else -inf
        right_a = a[i] if i < len(a) else inf
        left_b = b[j - 1] if j else -inf
        right_b = b[j] if j < len(b) else inf
        if left_a > right_b:
            high = i - 1
        elif left_b > right_a:
            low = i + 1
        elif (len(a) + len(b)) % 2:
            return float(max(left_a, left_b))
        else:
            return (max(left_a, left_b) + min(right_a, right_b)) / 2
""",
    "counts to the middle": """
def median_sorted_arrays(a, b):
    i = j = 0
    previous = current = 0
    for _ in range((len(a) + len(b)) // 2 + 1):
        previous = current
        if j == len(b) or (i < len(a) and a[i] <= b[j]):
            current = a[i]
            i += 1
        else:
            current = b[j]
            j += 1
    return float(current) if (len(a) + len(b)) % 2 else (previous + current) / 2
""",
}

SORTED = """
def median_sorted_arrays(a, b):
    nums = {nums}
    n = len(nums)
    if n % 2 == 1:
        return float(nums[{middle}])
    return {mean}
"""
PLAIN = {
    "nums": "sorted(a + b)",
    "middle": "n // 2",
    "mean": "(nums[n // 2 - 1] + nums[n // 2]) / 2",
}
WRONG = {
    "first list alone": SORTED.format(**{**PLAIN, "nums": "a"}),
    "second list alone": SORTED.format(**{**PLAIN, "nums": "b"}),
    "longer list alone": SORTED.format(**{**PLAIN, "nums": "max(a, b, key=len)"}),
    "not sorted": SORTED.format(**{**PLAIN, "nums": "a + b"}),
    "ties dropped": SORTED.format(**{**PLAIN, "nums": "sorted(set(a + b))"}),
    "dealt in turn": SORTED.format(
        **{**PLAIN, "nums": "[x for pair in zip(a, b) for x in pair] or a + b"}
    ),
    "rounded down": SORTED.format(
        **{**PLAIN, "mean": "float((nums[n // 2 - 1] + nums[n // 2]) // 2)"}
    ),
    "truncated": SORTED.format(**{**PLAIN, "mean": "int((nums[n // 2 - 1] + nums[n // 2]) / 2)"}),
    "lower one": SORTED.format(**{**PLAIN, "mean": "float(nums[n // 2 - 1])"}),
    "upper one": SORTED.format(**{**PLAIN, "mean": "float(nums[n // 2])"}),
    "one place too far": SORTED.format(
        **{**PLAIN, "mean": "(nums[n // 2] + nums[(n // 2 + 1) % n]) / 2"}
    ),
    "odd middle off by one": SORTED.format(**{**PLAIN, "middle": "n // 2 - 1"}),
    "sum without half": SORTED.format(**{**PLAIN, "mean": "nums[n // 2 - 1] + nums[n // 2]"}),
    "mean": """
def median_sorted_arrays(a, b):
    return sum(a + b) / len(a + b)
""",
    "mean of the medians": """
def median_sorted_arrays(a, b):
    def median(nums):
        n = len(nums)
        return nums[n // 2] if n % 2 else (nums[n // 2 - 1] + nums[n // 2]) / 2
    if not a or not b:
        return float(median(a or b))
    return (median(a) + median(b)) / 2
""",
    "no empty list": """
def median_sorted_arrays(a, b):
    low, high = min(a[0], b[0]), max(a[-1], b[-1])
    nums = sorted(x for x in a + b if low <= x <= high)
    n = len(nums)
    return (nums[(n - 1) // 2] + nums[n // 2]) / 2
""",
    "empty list gives zero": """
def median_sorted_arrays(a, b):
    if not a or not b:
        return 0.0
    nums = sorted(a + b)
    return (nums[(len(nums) - 1) // 2] + nums[len(nums) // 2]) / 2
""",
    "rest forgotten": """
def median_sorted_arrays(a, b):
    merged, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        if a[i] < b[j]:
            merged.append(a[i])
            i += 1
        else:
            merged.append(b[j])
            j += 1
    n = len(merged)
    return (merged[(n - 1) // 2] + merged[n // 2]) / 2
""",
    "text": """
def median_sorted_arrays(a, b):
    nums = sorted(a + b)
    return '%.1f' % ((nums[(len(nums) - 1) // 2] + nums[len(nums) // 2]) / 2)
""",
    "middle of the range": """
def median_sorted_arrays(a, b):
    nums = sorted(a + b)
    return (nums[0] + nums[-1]) / 2
""",
    "the examples": """
def median_sorted_arrays(a, b):
    return 2.0 if len(b) == 1 else 2.5
""",
}


def brute(a, b):
    """Take away the smallest and the largest until one or two are left."""
    nums = a + b
    while len(nums) > 2:
        nums.remove(min(nums))
        nums.remove(max(nums))
    return sum(nums) / len(nums)
