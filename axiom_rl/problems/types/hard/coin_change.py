"""coin_change: the fewest coins that make an amount, or -1."""

from __future__ import annotations

from random import Random

from axiom_rl.problems.base import Args, ProblemType, Task, fixed_task, levels

STATEMENT = (
    "Return the smallest number of coins whose values add up to amount, or -1 if no choice of "
    "coins does. coins lists the different coin values, positive and in any order; each can be "
    "used any number of times. Amount 0 takes 0 coins."
)

LEVELS = levels(
    amount=(12, 14, 16, 18, 20, 120, 150, 200, 300, 400),
    largest=(7, 8, 9, 10, 10, 25, 30, 40, 60, 80),
    kinds=(3, 3, 3, 4, 4, 4, 5, 5, 6, 6),
    time_limit_s=(None, None, None, None, None, 2.0, 2.0, 2.0, 2.0, 2.0),
)


def _any_coins(rng: Random, task: Task) -> Args:
    amount = task.level["amount"]
    return _coins(rng, task, 2), rng.randint(amount // 2, amount)


def _small_coins(rng: Random, task: Task) -> Args:
    """Very many ways to make the amount: recursion without memory tries them all."""
    coins = [rng.choice([2, 3]), *rng.sample(range(4, 9), task.level["kinds"] - 1)]
    rng.shuffle(coins)
    return coins, task.level["amount"] - rng.randint(0, 6)


def _largest_first_wastes(rng: Random, task: Task) -> Args:
    """Two equal coins make the amount; after a larger one only ones would be left."""
    middle, larger = _middle_and_larger(rng, task)
    coins = [1, middle, larger, 2 * middle + rng.randint(1, 9)]
    rng.shuffle(coins)
    return coins, 2 * middle


def _largest_first_gets_stuck(rng: Random, task: Task) -> Args:
    """Two or three equal coins make the amount; after a larger one nothing fits."""
    middle, larger = _middle_and_larger(rng, task)
    coins = [middle, larger, 3 * middle + rng.randint(1, 9)]
    rng.shuffle(coins)
    return coins, middle * rng.randint(2, 3)


def _impossible(rng: Random, task: Task) -> Args:
    """All coins share a divisor that the amount does not have."""
    divisor = rng.randint(2, 3)
    most = task.level["amount"]
    count = rng.randint(2, task.level["kinds"])
    coins = rng.sample(range(divisor, divisor * (count + 6), divisor), count)
    return coins, rng.randrange(most // 3 // divisor * divisor + 1, most + 1, divisor)


def _one_coin_many_times(rng: Random, task: Task) -> Args:
    """Coins are not used up."""
    coins = _coins(rng, task, 3)
    return coins, coins[0] * (task.level["amount"] // coins[0])


def _middle_and_larger(rng: Random, task: Task) -> tuple[int, int]:
    """Return m and l with m < l < 2m - 1: beside l there is room for 2 to m - 1 in 2m.

    m is at most 60, so that recursion goes 120 calls deep at most where there is a coin 1.
    """
    middle = rng.randint(4, min(60, task.level["amount"] // 2))
    return middle, rng.randint(middle + 1, 2 * middle - 2)


def _coins(rng: Random, task: Task, smallest: int) -> list[int]:
    level = task.level
    return rng.sample(range(smallest, level["largest"] + 1), rng.randint(2, level["kinds"]))


def oracle(coins: list[int], amount: int) -> int:
    """Add one coin after another to all amounts at once: bit n of `exact` is the amount n."""
    exact, seen, count = 1, 1, 0
    while not exact >> amount & 1:
        made = 0
        for coin in coins:
            made |= exact << coin
        exact = made & ((2 << amount) - 1) & ~seen
        if not exact:
            return -1
        seen |= exact
        count += 1
    return count


TYPE = ProblemType(
    name="coin_change",
    family="hard",
    title="Coin change",
    difficulty="Larger amounts and more kinds of coins; from level 6 recursion without memory is "
    "too slow.",
    levels=LEVELS,
    draw_task=fixed_task(STATEMENT, "coin_change", "(coins, amount)"),
    oracle=oracle,
    examples=(([1, 3, 4], 6), ([2], 3)),
    edge_cases=(
        ([1], 0),
        ([3, 2], 0),
        ([1], 1),
        ([5], 5),
        ([5], 4),
        ([1], 12),
        ([2, 4], 7),
        ([9, 6, 1], 12),
        ([3, 7], 6),
        ([2, 5], 11),
    ),
    inputs=(
        _any_coins,
        _small_coins,
        _largest_first_wastes,
        _largest_first_gets_stuck,
        _impossible,
        _one_coin_many_times,
    ),
    tests=22,
)
