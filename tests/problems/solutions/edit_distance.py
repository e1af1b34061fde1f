RIGHT = {
    "table": """
def edit_distance(a, b):
    m, n = len(a), len(b)
    dp = [[0] * (n + 1) for _ in range(m + 1)]
    for i in range(m + 1):
        dp[i][0] = i
    for j in range(n + 1):
        dp[0][j] = j
    for i in range(1, m + 1):
        for j in range(1, n + 1):
            if a[i - 1] == b[j - 1]:
                dp[i][j] = dp[i - 1][j - 1]
            else:
                dp[i][j] = 1 + min(dp[i - 1][j], dp[i][j - 1], dp[i - 1][j - 1])
    return dp[m][n]
""",
    "recursion with memory": """
from functools import cache

def edit_distance(a, b):
    @cache
    def go(i, j):
        if not i or not j:
            return i + j
        if a[i - 1] == b[j - 1]:
            return go(i - 1, j - 1)
        return 1 + min(go(i - 1, j), go(i, j - 1), go(i - 1, j - 1))
    return go(len(a), len(b))
""",
    "two rows": """
def edit_distance(a: str, b: str) -> int:
    previous = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        current = [i]
        for j, y in enumerate(b, 1):
            current.append(min(previous[j] + 1, current[-1] + 1, previous[j - 1] + (x != y)))
        previous = current
    return previous[-1]
""",
    "breadth first": """
def edit_distance(a, b):
    frontier, seen, steps = [(0, 0)], set(), 0
    while True:
        following = []
        while frontier:
            i, j = frontier.pop()
            if (i, j) in seen or i > len(a) or j > len(b):
                continue
            seen.add((i, j))
            if (i, j) == (len(a), len(b)):
                return steps
            if i < len(a) and j < len(b) and a[i] == b[j]:
                frontier.append((i + 1, j + 1))
            following += [(i + 1, j), (i, j + 1), (i + 1, j + 1)]
        frontier, steps = following, steps + 1
""",
}
WRONG = {
    "no replacement": """
def edit_distance(a, b):
    m, n = len(a), len(b)
    dp = [[i + j for j in range(n + 1)] for i in range(m + 1)]
    for i in range(1, m + 1):
        for j in range(1, n + 1):
            if a[i - 1] == b[j - 1]:
                dp[i][j] = dp[i - 1][j - 1]
            else:
                dp[i][j] = 1 + min(dp[i - 1][j], dp[i][j - 1])
    return dp[m][n]
""",
    "replacement costs two": """
def edit_distance(a, b):
    previous = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        current = [i]
        for j, y in enumerate(b, 1):
            current.append(min(previous[j] + 1, current[-1] + 1, previous[j - 1] + 2 * (x != y)))
        previous = current
    return previous[-1]
""",
    "place by place": """
def edit_distance(a, b):
    return sum(x != y for x, y in zip(a, b)) + abs(len(a) - len(b))
""",
    "difference of lengths": "def edit_distance(a, b):\n    return abs(len(a) - len(b))\n",
    "longer length without common letters": """
def edit_distance(a, b):
    dp = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            dp[i + 1][j + 1] = dp[i][j] + 1 if x == y else max(dp[i][j + 1], dp[i + 1][j])
    return max(len(a), len(b)) - dp[-1][-1]
""",
    "letters counted": """
from collections import Counter

def edit_distance(a, b):
    return max(len(a), len(b)) - sum((Counter(a) & Counter(b)).values())
""",
    "neighbours change places in one edit": """
def edit_distance(a, b):
    m, n = len(a), len(b)
    dp = [[i + j if not i or not j else 0 for j in range(n + 1)] for i in range(m + 1)]
    for i in range(1, m + 1):
        for j in range(1, n + 1):
            cost = a[i - 1] != b[j - 1]
            dp[i][j] = min(dp[i - 1][j] + 1, dp[i][j - 1] + 1, dp[i - 1][j - 1] + cost)
            if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                dp[i][j] = min(dp[i][j], dp[i - 2][j - 2] + 1)
    return dp[m][n]
""",
    "borders stay zero": """
def edit_distance(a, b):
    dp = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            if a[i - 1] == b[j - 1]:
                dp[i][j] = dp[i - 1][j - 1]
            else:
                dp[i][j] = 1 + min(dp[i - 1][j], dp[i][j - 1], dp[i - 1][j - 1])
    return dp[-1][-1]
""",
    "one border stays zero": """
def edit_distance(a, b):
    dp = [[i] + [0] * len(b) for i in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            if a[i - 1] == b[j - 1]:
                dp[i][j] = dp[i - 1][j - 1]
            else:
                dp[i][j] = 1 + min(dp[i - 1][j], dp[i][j - 1], dp[i - 1][j - 1])
    return dp[-1][-1]
""",
    "no insertion": """
def edit_distance(a, b):
    previous = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        current = [i]
        for j, y in enumerate(b, 1):
            current.append(previous[j - 1] if x == y else 1 + min(previous[j], previous[j - 1]))
        previous = current
    return previous[-1]
""",
    "pays for equal letters": """
def edit_distance(a, b):
    previous = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        current = [i]
        for j, y in enumerate(b, 1):
            current.append(1 + min(previous[j], current[-1], previous[j - 1]))
        previous = current
    return previous[-1]
""",
    "last letters left out": """
def edit_distance(a, b):
    m, n = len(a), len(b)
    dp = [[i + j for j in range(n + 1)] for i in range(m + 1)]
    for i in range(1, m):
        for j in range(1, n):
            if a[i - 1] == b[j - 1]:
                dp[i][j] = dp[i - 1][j - 1]
            else:
                dp[i][j] = 1 + min(dp[i - 1][j], dp[i][j - 1], dp[i - 1][j - 1])
    return dp[m - 1][n - 1]
""",
    "greedy": """
def edit_distance(a, b):
    i = j = count = 0
    while i < len(a) and j < len(b):
        if a[i] == b[j]:
            i, j = i + 1, j + 1
            continue
        count += 1
        if len(a) - i > len(b) - j:
            i += 1
        elif len(a) - i < len(b) - j:
            j += 1
        else:
            i, j = i + 1, j + 1
    return count + len(a) - i + len(b) - j
""",
    "difflib": """
from difflib import SequenceMatcher

def edit_distance(a, b):
    blocks = SequenceMatcher(None, a, b).get_opcodes()
    return sum(max(i2 - i1, j2 - j1) for kind, i1, i2, j1, j2 in blocks if kind != 'equal')
""",
    "no empty string": """
def edit_distance(a, b):
    if not a or not b:
        return 0
    previous = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        current = [i]
        for j, y in enumerate(b, 1):
            current.append(min(previous[j] + 1, current[-1] + 1, previous[j - 1] + (x != y)))
        previous = current
    return previous[-1]
""",
    "the examples": """
def edit_distance(a, b):
    return {('horse', 'ros'): 3, ('', 'ab'): 2, ('cat', 'cut'): 1}.get((a, b), 0)
""",
    "recursion without memory": """
def edit_distance(a, b):
    calls = [0]
    def go(i, j):
        calls[0] += 1
        if calls[0] > 20000:
            raise TimeoutError
        if not i or not j:
            return i + j
        if a[i - 1] == b[j - 1]:
            return go(i - 1, j - 1)
        return 1 + min(go(i - 1, j), go(i, j - 1), go(i - 1, j - 1))
    return go(len(a), len(b))
""",
}
WRONG_FROM = {"recursion without memory": 6}
BRUTE_SIZE = 24


def brute(a, b):
    """The cheapest way to keep some letters: between two kept ones, the longer gap is paid."""
    from itertools import combinations

    best = max(len(a), len(b))
    for size in range(1, min(len(a), len(b)) + 1):
        for first in combinations(range(len(a)), size):
            for second in combinations(range(len(b)), size):
                if all(a[i] == b[j] for i, j in zip(first, second, strict=True)):
                    ends_a, ends_b = [-1, *first, len(a)], [-1, *second, len(b)]
                    gaps = zip(ends_a, ends_a[1:], ends_b, ends_b[1:], strict=False)
                    best = min(best, sum(max(q - p, s - r) - 1 for p, q, r, s in gaps))
    return best
