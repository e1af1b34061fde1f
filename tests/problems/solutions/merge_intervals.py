RIGHT = {
    "sorted": """
def merge_intervals(intervals):
    intervals.sort()
    merged = []
    for start, end in intervals:
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    return merged
""",
    "insert one after another": """
def merge_intervals(intervals):
    result = []
    for start, end in intervals:
        apart = []
        for s, e in result:
            if e < start or s > end:
                apart.append([s, e])
            else:
                start, end = min(s, start), max(e, end)
        result = apart + [[start, end]]
    return sorted(result)
""",
    "groups of overlapping ones": """
def merge_intervals(intervals):
    n = len(intervals)
    group = list(range(n))
    def find(i):
        while group[i] != i:
            i = group[i]
        return i
    for i in range(n):
        for j in range(i):
            if max(intervals[i][0], intervals[j][0]) <= min(intervals[i][1], intervals[j][1]):
                group[find(i)] = find(j)
    found = {}
    for i in range(n):
        found.setdefault(find(i), []).append(intervals[i])
    return sorted([min(s for s, _ in g), max(e for _, e in g)] for g in found.values())
""",
    "starts and ends sorted apart": """
def merge_intervals(intervals):
    starts = sorted(s for s, _ in intervals)
    ends = sorted(e for _, e in intervals)
    merged, first = [], 0
    for i in range(len(starts)):
        if i == len(starts) - 1 or starts[i + 1] > ends[i]:
            merged.append([starts[first], ends[i]])
            first = i + 1
    return merged
""",
}

SORTED = """
def merge_intervals(intervals):
    if not intervals:
        return []
    intervals = {order}
    merged = [list(intervals[0])]
    for start, end in intervals[1:]:
        if {touches}:
            merged[-1][1] = {end}
        else:
            merged.append([start, end])
    return {result}
"""
PLAIN = {
    "order": "sorted(intervals)",
    "touches": "start <= merged[-1][1]",
    "end": "max(merged[-1][1], end)",
    "result": "merged",
}
WRONG = {
    "not sorted": SORTED.format(**{**PLAIN, "order": "intervals"}),
    "sorted by end": SORTED.format(**{**PLAIN, "order": "sorted(intervals, key=lambda x: x[1])"}),
    "touching ones stay apart": SORTED.format(**{**PLAIN, "touches": "start < merged[-1][1]"}),
    "neighbours merge": SORTED.format(**{**PLAIN, "touches": "start <= merged[-1][1] + 1"}),
    "last end": SORTED.format(**{**PLAIN, "end": "end"}),
    "smaller end": SORTED.format(**{**PLAIN, "end": "min(merged[-1][1], end)"}),
    "tuples": SORTED.format(**{**PLAIN, "result": "[tuple(x) for x in merged]"}),
    "count": SORTED.format(**{**PLAIN, "result": "len(merged)"}),
    "last one left out": SORTED.format(**{**PLAIN, "result": "merged[:-1]"}),
    "descending": SORTED.format(**{**PLAIN, "result": "merged[::-1]"}),
    "in pairs": SORTED.format(**{**PLAIN, "result": "sum(merged, [])"}),
    "no empty list": SORTED.format(**PLAIN).replace(
        "    if not intervals:\n        return []\n", ""
    ),
    "None for no interval": SORTED.format(**PLAIN).replace("return []", "return None"),
    "one pass over neighbours": """
def merge_intervals(intervals):
    intervals = sorted(intervals)
    merged, i = [], 0
    while i < len(intervals):
        if i + 1 < len(intervals) and intervals[i + 1][0] <= intervals[i][1]:
            merged.append([intervals[i][0], max(intervals[i][1], intervals[i + 1][1])])
            i += 2
        else:
            merged.append(intervals[i])
            i += 1
    return merged
""",
    "compares with the interval before": """
def merge_intervals(intervals):
    intervals = sorted(intervals)
    merged = []
    for i, (start, end) in enumerate(intervals):
        if i and start <= intervals[i - 1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    return merged
""",
    "last group forgotten": """
def merge_intervals(intervals):
    merged, current = [], None
    for start, end in sorted(intervals):
        if current and start <= current[1]:
            current[1] = max(current[1], end)
        else:
            if current:
                merged.append(current)
            current = [start, end]
    return merged
""",
    "marked points": """
def merge_intervals(intervals):
    points = set()
    for start, end in intervals:
        if end - start > 10000:
            raise MemoryError
        points.update(range(start, end + 1))
    merged = []
    for p in sorted(points):
        if merged and merged[-1][1] == p - 1:
            merged[-1][1] = p
        else:
            merged.append([p, p])
    return merged
""",
    "marked halves": """
def merge_intervals(intervals):
    points = set()
    for start, end in intervals:
        if end - start > 100000:
            raise MemoryError
        points.update(range(2 * start, 2 * end + 1))
    merged = []
    for p in sorted(points):
        if merged and merged[-1][1] == p - 1:
            merged[-1][1] = p
        else:
            merged.append([p, p])
    return [[start // 2, end // 2] for start, end in merged]
""",
    "single points dropped": """
def merge_intervals(intervals):
    merged = []
    for start, end in sorted(intervals):
        if start == end:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    return merged
""",
    "everything into one": """
def merge_intervals(intervals):
    if not intervals:
        return []
    return [[min(s for s, _ in intervals), max(e for _, e in intervals)]]
""",
    "the examples": """
def merge_intervals(intervals):
    return [[1, 5], [6, 8 if [6, 8] in intervals else 7]]
""",
}
WRONG_FROM = {"marked halves": 8}


def brute(intervals):
    """Merge any two that share a point until there are none."""
    merged = [list(interval) for interval in intervals]
    while True:
        pairs = ((i, j) for i in range(len(merged)) for j in range(i))
        touching = (
            (i, j)
            for i, j in pairs
            if merged[i][0] <= merged[j][1] and merged[j][0] <= merged[i][1]
        )
        i, j = next(touching, (0, 0))
        if i == j:
            return sorted(merged)
        first, second = merged[i], merged.pop(j)
        first[:] = [min(first[0], second[0]), max(first[1], second[1])]
