RIGHT = {
    "one row, from the right": """
def knapsack(weights, values, capacity):
    dp = [0] * (capacity + 1)
    for w, v in zip(weights, values):
        for c in range(capacity, w - 1, -1):
            dp[c] = max(dp[c], dp[c - w] + v)
    return dp[capacity]
""",
    "table": """
def knapsack(weights, values, capacity):
    n = len(weights)
    dp = [[0 for _ in range(capacity + 1)] for _ in range(n + 1)]
    for i in range(1, n + 1):
        for w in range(1, capacity + 1):
            if weights[i - 1] <= w:
                dp[i][w] = max(values[i - 1] + dp[i - 1][w - weights[i - 1]], dp[i - 1][w])
            else:
                dp[i][w] = dp[i - 1][w]
    return dp[n][capacity]
""",
    "recursion with memory": """
def knapsack(weights, values, capacity):
    memo = {}
    def go(i, left):
        if i == len(weights):
            return 0
        if (i, left) not in memo:
            best = go(i + 1, left)
            if weights[i] <= left:
                best = max(best, values[i] + go(i + 1, left - weights[i]))
            memo[i, left] = best
        return memo[i, left]
    return go(0, capacity)
""",
    "choices that are not beaten": """
def knapsack(weights, values, capacity):
    choices = [(0, 0)]
    for w, v in zip(weights, values):
        choices += [(x + w, y + v) for x, y in choices if x + w <= capacity]
        choices.sort(key=lambda c: (c[0], -c[1]))
        kept, best = [], -1
        for x, y in choices:
            if y > best:
                kept.append((x, y))
                best = y
        choices = kept
    return choices[-1][1]
""",
}

GREEDY = """
def knapsack(weights, values, capacity):
    total = 0
    for i in sorted(range(len(weights)), key=lambda i: {key}):
        if weights[i] <= capacity:
            capacity -= weights[i]
            total += values[i]
    return total
"""
ROW = """
def knapsack(weights, values, capacity):
    dp = [0] * (capacity + 1)
    for w, v in {items}:
        for c in {range}:
            dp[c] = max(dp[c], dp[c - w] + v)
    return dp{result}
"""
ITEMS = "zip(weights, values)"
WRONG = {
    "best ratio first": GREEDY.format(key="-values[i] / weights[i]"),
    "dearest first": GREEDY.format(key="-values[i]"),
    "lightest first": GREEDY.format(key="weights[i]"),
    "in the given order": GREEDY.format(key="i"),
    "items used again": ROW.format(items=ITEMS, range="range(w, capacity + 1)", result="[-1]"),
    "exact fit is not allowed": ROW.format(
        items=ITEMS, range="range(capacity, w, -1)", result="[-1]"
    ),
    "one capacity less": ROW.format(
        items=ITEMS, range="range(capacity - 1, w - 1, -1)", result="[-1]"
    ),
    "last item left out": ROW.format(
        items="list(zip(weights, values))[:-1]", range="range(capacity, w - 1, -1)", result="[-1]"
    ),
    "the table": ROW.format(items=ITEMS, range="range(capacity, w - 1, -1)", result=""),
    "weights and values exchanged": ROW.format(
        items="zip(values, weights)", range="range(capacity, w - 1, -1)", result="[-1]"
    ),
    "parts of items": """
def knapsack(weights, values, capacity):
    total = 0
    for w, v in sorted(zip(weights, values), key=lambda item: -item[1] / item[0]):
        part = min(w, capacity)
        total += v * part / w
        capacity -= part
    return total
""",
    "takes whatever fits": """
def knapsack(weights, values, capacity):
    return sum(v for w, v in zip(weights, values) if w <= capacity)
""",
    "one item": """
def knapsack(weights, values, capacity):
    return max((v for w, v in zip(weights, values) if w <= capacity), default=0)
""",
    "no items": """
def knapsack(weights, values, capacity):
    best = {0: 0}
    for w, v in zip(weights, values):
        for total, worth in list(best.items()):
            if total + w <= capacity:
                best[total + w] = max(best.get(total + w, 0), worth + v)
    return max(best[t] for t in best if t or not weights[0])
""",
    "full bag alone": """
def knapsack(weights, values, capacity):
    best = [0] + [float('-inf')] * capacity
    for w, v in zip(weights, values):
        for c in range(capacity, w - 1, -1):
            best[c] = max(best[c], best[c - w] + v)
    return best[capacity] if best[capacity] >= 0 else 0
""",
    "always takes what fits": """
def knapsack(weights, values, capacity):
    dp = [[0] * (capacity + 1) for _ in range(len(weights) + 1)]
    for i, (w, v) in enumerate(zip(weights, values)):
        for c in range(capacity + 1):
            dp[i + 1][c] = dp[i][c - w] + v if w <= c else dp[i][c]
    return dp[-1][capacity]
""",
    "the examples": """
def knapsack(weights, values, capacity):
    return 9 if capacity == 6 else 0
""",
    "all choices": """
def knapsack(weights, values, capacity):
    calls = [0]
    def go(i, left):
        calls[0] += 1
        if calls[0] > 20000:
            raise TimeoutError
        if i == len(weights):
            return 0
        best = go(i + 1, left)
        if weights[i] <= left:
            best = max(best, values[i] + go(i + 1, left - weights[i]))
        return best
    return go(0, capacity)
""",
}
WRONG_FROM = {"all choices": 6}


def brute(weights, values, capacity):
    from itertools import product

    best = 0
    for taken in product([0, 1], repeat=len(weights)):
        if sum(w for w, t in zip(weights, taken, strict=True) if t) <= capacity:
            best = max(best, sum(v for v, t in zip(values, taken, strict=True) if t))
    return best
