RIGHT = {
    "amount by amount": """
def coin_change(coins, amount):
    dp = [float('inf')] * (amount + 1)
    dp[0] = 0
    for i in range(1, amount + 1):
        for coin in coins:
            if coin <= i:
                dp[i] = min(dp[i], dp[i - coin] + 1)
    return dp[amount] if dp[amount] != float('inf') else -1
""",
    "coin by coin": """
def coin_change(coins, amount):
    dp = [0] + [amount + 1] * amount
    for coin in coins:
        for i in range(coin, amount + 1):
            dp[i] = min(dp[i], dp[i - coin] + 1)
    return -1 if dp[amount] > amount else dp[amount]
""",
    "breadth first": """
from collections import deque

def coin_change(coins, amount):
    queue, seen = deque([(0, 0)]), {0}
    while queue:
        total, count = queue.popleft()
        if total == amount:
            return count
        for coin in coins:
            new = total + coin
            if new <= amount and new not in seen:
                seen.add(new)
                queue.append((new, count + 1))
    return -1
""",
    "recursion with memory": """
from functools import cache

def coin_change(coins, amount):
    @cache
    def go(left):
        if left == 0:
            return 0
        return min((go(left - c) + 1 for c in coins if c <= left), default=10 ** 9)
    result = go(amount)
    return result if result < 10 ** 9 else -1
""",
}

GREEDY = """
def coin_change(coins, amount):
    count = 0
    for coin in {order}:
        count += amount // coin
        amount %= coin
    return count if amount == 0 else -1
"""
TABLE = """
def coin_change(coins, amount):
    dp = [{start}] + [float('inf')] * amount
    for coin in coins:
        for i in {range}:
            dp[i] = min(dp[i], dp[i - coin] + 1)
    return {result}
"""
UP = "range(coin, amount + 1)"
RESULT = "dp[amount] if dp[amount] != float('inf') else -1"
WRONG = {
    "largest first": GREEDY.format(order="sorted(coins, reverse=True)"),
    "smallest first": GREEDY.format(order="sorted(coins)"),
    "in the given order": GREEDY.format(order="coins"),
    "in the given order, reversed": GREEDY.format(order="coins[::-1]"),
    "largest first, from every coin": """
def coin_change(coins, amount):
    best = -1
    coins = sorted(coins, reverse=True)
    for start in range(max(1, len(coins))):
        left, count = amount, 0
        for coin in coins[start:]:
            count += left // coin
            left %= coin
        if left == 0 and (best == -1 or count < best):
            best = count
    return best
""",
    "every coin once": TABLE.format(start="0", range="range(amount, coin - 1, -1)", result=RESULT),
    "infinity if impossible": TABLE.format(start="0", range=UP, result="dp[amount]"),
    "zero if impossible": TABLE.format(
        start="0", range=UP, result="dp[amount] if dp[amount] != float('inf') else 0"
    ),
    "None if impossible": TABLE.format(
        start="0", range=UP, result="dp[amount] if dp[amount] != float('inf') else None"
    ),
    "one for nothing": TABLE.format(start="1", range=UP, result=RESULT),
    "amount left out": TABLE.format(start="0", range="range(coin, amount)", result=RESULT),
    "coin left out": TABLE.format(start="0", range="range(coin + 1, amount + 1)", result=RESULT),
    "no amount 0": TABLE.format(start="0", range=UP, result=RESULT).replace(
        "    dp", "    if amount <= 0:\n        return -1\n    dp", 1
    ),
    "number of ways": """
def coin_change(coins, amount):
    dp = [1] + [0] * amount
    for coin in coins:
        for i in range(coin, amount + 1):
            dp[i] += dp[i - coin]
    return dp[amount] or -1
""",
    "most coins": """
def coin_change(coins, amount):
    dp = [0] + [-1] * amount
    for i in range(1, amount + 1):
        for coin in coins:
            if coin <= i and dp[i - coin] >= 0:
                dp[i] = max(dp[i], dp[i - coin] + 1)
    return dp[amount]
""",
    "divided by the largest": """
def coin_change(coins, amount):
    return -(-amount // max(coins))
""",
    "two coins at most": """
def coin_change(coins, amount):
    if amount == 0:
        return 0
    if amount in coins:
        return 1
    return 2 if any(amount - c in coins for c in coins) else -1
""",
    "unreachable taken for minus one": """
def coin_change(coins, amount):
    dp = [0] + [-1] * amount
    for i in range(1, amount + 1):
        found = [dp[i - c] for c in coins if c <= i]
        dp[i] = min(found) + 1 if found else -1
    return dp[amount]
""",
    "the examples": """
def coin_change(coins, amount):
    return 2 if amount == 6 else -1
""",
    "recursion without memory": """
def coin_change(coins, amount):
    calls = [0]
    def go(left):
        calls[0] += 1
        if calls[0] > 20000:
            raise TimeoutError
        if left == 0:
            return 0
        return min((go(left - c) + 1 for c in coins if c <= left), default=10 ** 9)
    result = go(amount)
    return result if result < 10 ** 9 else -1
""",
}
WRONG_FROM = {"recursion without memory": 6}


def brute(coins, amount):
    best = [0] + [amount + 1] * amount
    for total in range(1, amount + 1):
        best[total] = 1 + min((best[total - c] for c in coins if c <= total), default=amount)
    return best[amount] if best[amount] <= amount else -1
