RIGHT = {
    "highest to both sides": """
def trapping_rain_water(heights):
    n = len(heights)
    if n == 0:
        return 0
    left, right = [0] * n, [0] * n
    left[0], right[-1] = heights[0], heights[-1]
    for i in range(1, n):
        left[i] = max(left[i - 1], heights[i])
    for i in range(n - 2, -1, -1):
        right[i] = max(right[i + 1], heights[i])
    return sum(min(left[i], right[i]) - heights[i] for i in range(n))
""",
    "two pointers": """
def trapping_rain_water(heights):
    i, j = 0, len(heights) - 1
    left = right = water = 0
    while i < j:
        if heights[i] < heights[j]:
            left = max(left, heights[i])
            water += left - heights[i]
            i += 1
        else:
            right = max(right, heights[j])
            water += right - heights[j]
            j -= 1
    return water
""",
    "stack": """
def trapping_rain_water(heights):
    stack, water = [], 0
    for i, h in enumerate(heights):
        while stack and heights[stack[-1]] < h:
            bottom = heights[stack.pop()]
            if not stack:
                break
            depth = min(h, heights[stack[-1]]) - bottom
            water += depth * (i - stack[-1] - 1)
        stack.append(i)
    return water
""",
    "maximum of slices": """
def trapping_rain_water(heights):
    return sum(
        min(max(heights[: i + 1]), max(heights[i:])) - h for i, h in enumerate(heights)
    )
""",
}

SLICES = """
def trapping_rain_water(heights):
    water = 0
    for i in range({first}, len(heights){last}):
        left = {left}
        right = {right}
        water += {gain}
    return water
"""
PLAIN = {
    "first": "0",
    "last": "",
    "left": "max(heights[:i + 1])",
    "right": "max(heights[i:])",
    "gain": "min(left, right) - heights[i]",
}
WRONG = {
    "neighbours alone": SLICES.format(
        **{
            **PLAIN,
            "first": "1",
            "last": " - 1",
            "left": "heights[i - 1]",
            "right": "heights[i + 1]",
            "gain": "max(0, min(left, right) - heights[i])",
        }
    ),
    "highest of all": SLICES.format(**{**PLAIN, "left": "max(heights)", "right": "max(heights)"}),
    "higher side": SLICES.format(**{**PLAIN, "gain": "max(left, right) - heights[i]"}),
    "left side alone": SLICES.format(**{**PLAIN, "right": "left"}),
    "right side alone": SLICES.format(**{**PLAIN, "left": "right"}),
    "below zero": SLICES.format(
        **{
            **PLAIN,
            "first": "1",
            "last": " - 1",
            "left": "max(heights[:i])",
            "right": "max(heights[i + 1:])",
        }
    ),
    "bar not taken off": SLICES.format(**{**PLAIN, "gain": "min(left, right)"}),
    "wet bars counted": SLICES.format(**{**PLAIN, "gain": "min(left, right) > heights[i]"}),
    "second bar left out": SLICES.format(**{**PLAIN, "first": "2"}),
    "last but one left out": SLICES.format(**{**PLAIN, "last": " - 2"}),
    "right side stops early": SLICES.format(
        **{**PLAIN, "right": "max(heights[i:len(heights) - 1], default=0)"}
    ).replace("min(left, right) - heights[i]", "max(0, min(left, right) - heights[i])"),
    "left side starts late": SLICES.format(
        **{**PLAIN, "left": "max(heights[1:i + 1], default=0)"}
    ).replace("min(left, right) - heights[i]", "max(0, min(left, right) - heights[i])"),
    "largest container": """
def trapping_rain_water(heights):
    i, j, best = 0, len(heights) - 1, 0
    while i < j:
        best = max(best, min(heights[i], heights[j]) * (j - i))
        if heights[i] < heights[j]:
            i += 1
        else:
            j -= 1
    return best
""",
    "walls at the ends": """
def trapping_rain_water(heights):
    if not heights:
        return 0
    wall = min(heights[0], heights[-1])
    return sum(max(0, wall - h) for h in heights)
""",
    "until a higher bar comes": """
def trapping_rain_water(heights):
    water = level = pending = 0
    for h in heights:
        if h >= level:
            water += pending
            level, pending = h, 0
        else:
            pending += level - h
    return water
""",
    "largest pool": """
def trapping_rain_water(heights):
    best = pool = 0
    for i, h in enumerate(heights):
        depth = min(max(heights[:i + 1]), max(heights[i:])) - h
        pool = pool + depth if depth else 0
        best = max(best, pool)
    return best
""",
    "no empty list": """
def trapping_rain_water(heights):
    left, right = [heights[0]], [heights[-1]]
    for h in heights[1:]:
        left.append(max(left[-1], h))
    for h in heights[-2::-1]:
        right.append(max(right[-1], h))
    return sum(min(x, y) - h for x, y, h in zip(left, right[::-1], heights))
""",
    "list of depths": """
def trapping_rain_water(heights):
    return [min(max(heights[:i + 1]), max(heights[i:])) - h for i, h in enumerate(heights)]
""",
    "the examples": """
def trapping_rain_water(heights):
    return 3 if len(heights) == 4 else 0
""",
    "unit by unit": """
def trapping_rain_water(heights):
    if max(heights, default=0) > 500000:
        raise TimeoutError
    return sum(
        any(h > y for h in heights[:i]) and any(h > y for h in heights[i + 1:])
        for i, height in enumerate(heights)
        for y in range(height, max(heights))
    )
""",
}
WRONG_FROM = {"unit by unit": 8}


def brute(heights):
    """Fill the bars up, unit by unit, wherever there is a higher bar on either side."""
    filled = list(heights)
    for i in range(len(filled)):
        while any(h > filled[i] for h in filled[:i]) and any(h > filled[i] for h in filled[i:]):
            filled[i] += 1
    return sum(filled) - sum(heights)
