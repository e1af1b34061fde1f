RIGHT = {
    "table": """
def lcs(a, b):
    m, n = len(a), len(b)
    dp = [[0] * (n + 1) for _ in range(m + 1)]
    for i in range(1, m + 1):
        for j in range(1, n + 1):
            if a[i - 1] == b[j - 1]:
                dp[i][j] = dp[i - 1][j - 1] + 1
            else:
                dp[i][j] = max(dp[i - 1][j], dp[i][j - 1])
    return dp[m][n]
""",
    "recursion with memory": """
from functools import lru_cache

def lcs(a, b):
    @lru_cache(maxsize=None)
    def go(i, j):
        if i == len(a) or j == len(b):
            return 0
        if a[i] == b[j]:
            return 1 + go(i + 1, j + 1)
        return max(go(i + 1, j), go(i, j + 1))
    return go(0, 0)
""",
    "two rows": """
def lcs(a: str, b: str) -> int:
    previous = [0] * (len(b) + 1)
    for x in a:
        current = [0]
        for j, y in enumerate(b):
            current.append(previous[j] + 1 if x == y else max(current[-1], previous[j + 1]))
        previous = current
    return previous[-1]
""",
    "bits": """
def lcs(a, b):
    masks = {}
    for i, x in enumerate(a):
        masks[x] = masks.get(x, 0) | 1 << i
    full = (1 << len(a)) - 1
    v = full
    for y in b:
        m = masks.get(y, 0)
        v = ((v + (v & m)) | (v & ~m)) & full
    return len(a) - bin(v).count('1')
""",
}
WRONG = {
    "longest common substring": """
def lcs(a, b):
    best = 0
    dp = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            if a[i - 1] == b[j - 1]:
                dp[i][j] = dp[i - 1][j - 1] + 1
                best = max(best, dp[i][j])
    return best
""",
    "set of common letters": "def lcs(a, b):\n    return len(set(a) & set(b))\n",
    "count of common letters": """
from collections import Counter

def lcs(a, b):
    return sum((Counter(a) & Counter(b)).values())
""",
    "greedy search in b": """
def lcs(a, b):
    place, count = 0, 0
    for x in a:
        found = b.find(x, place)
        if found >= 0:
            place, count = found + 1, count + 1
    return count
""",
    "greedy, both ways": """
def lcs(a, b):
    def greedy(s, t):
        place, count = 0, 0
        for x in s:
            found = t.find(x, place)
            if found >= 0:
                place, count = found + 1, count + 1
        return count
    return max(greedy(a, b), greedy(b, a))
""",
    "two pointers": """
def lcs(a, b):
    i = j = count = 0
    while i < len(a) and j < len(b):
        if a[i] == b[j]:
            count += 1
            i += 1
        j += 1
    return count
""",
    "same places": "def lcs(a, b):\n    return sum(x == y for x, y in zip(a, b))\n",
    "last letters left out": """
def lcs(a, b):
    dp = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(1, len(a)):
        for j in range(1, len(b)):
            if a[i - 1] == b[j - 1]:
                dp[i][j] = dp[i - 1][j - 1] + 1
            else:
                dp[i][j] = max(dp[i - 1][j], dp[i][j - 1])
    return dp[len(a) - 1][len(b) - 1]
""",
    "wrong indices of the letters": """
def lcs(a, b):
    dp = [[0] * len(b) for _ in range(len(a))]
    for i in range(1, len(a)):
        for j in range(1, len(b)):
            if a[i] == b[j]:
                dp[i][j] = dp[i - 1][j - 1] + 1
            else:
                dp[i][j] = max(dp[i - 1][j], dp[i][j - 1])
    return dp[-1][-1] + 1
""",
    "one letter twice": """
def lcs(a, b):
    dp = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            dp[i][j] = max(dp[i - 1][j], dp[i][j - 1]) + (a[i - 1] == b[j - 1])
    return dp[-1][-1]
""",
    "the subsequence itself": """
def lcs(a, b):
    dp = [[''] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            if a[i - 1] == b[j - 1]:
                dp[i][j] = dp[i - 1][j - 1] + a[i - 1]
            else:
                dp[i][j] = max(dp[i - 1][j], dp[i][j - 1], key=len)
    return dp[-1][-1]
""",
    "no empty string": """
def lcs(a, b):
    row = [int(y == a[0]) for y in b]
    best = [max(row[: j + 1]) for j in range(len(b))]
    for x in a[1:]:
        new = []
        for j, y in enumerate(b):
            left, diagonal = (new[-1], best[j - 1]) if j else (0, 0)
            new.append(diagonal + 1 if x == y else max(left, best[j]))
        best = new
    return best[-1]
""",
    "all rows are one list": """
def lcs(a, b):
    dp = [[0] * (len(b) + 1)] * (len(a) + 1)
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            if a[i - 1] == b[j - 1]:
                dp[i][j] = dp[i - 1][j - 1] + 1
            else:
                dp[i][j] = max(dp[i - 1][j], dp[i][j - 1])
    return dp[-1][-1]
""",
    "the examples": """
def lcs(a, b):
    return {('abcde', 'ace'): 3, ('abc', 'xyz'): 0}.get((a, b), min(len(a), len(b)))
""",
    "recursion without memory": """
def lcs(a, b):
    calls = [0]
    def go(i, j):
        calls[0] += 1
        if calls[0] > 20000:
            raise TimeoutError
        if i == len(a) or j == len(b):
            return 0
        if a[i] == b[j]:
            return 1 + go(i + 1, j + 1)
        return max(go(i + 1, j), go(i, j + 1))
    return go(0, 0)
""",
}
WRONG_FROM = {"recursion without memory": 6}
BRUTE_SIZE = 24


def brute(a, b):
    from itertools import combinations

    def subsequences(text):
        return {part for size in range(len(text) + 1) for part in combinations(text, size)}

    return max(map(len, subsequences(a) & subsequences(b)))
