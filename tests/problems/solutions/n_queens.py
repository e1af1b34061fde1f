RIGHT = {
    "sets": """
def n_queens(n):
    columns, rising, falling = set(), set(), set()
    def place(row):
        if row == n:
            return 1
        count = 0
        for c in range(n):
            if c in columns or row + c in rising or row - c in falling:
                continue
            columns.add(c)
            rising.add(row + c)
            falling.add(row - c)
            count += place(row + 1)
            columns.remove(c)
            rising.remove(row + c)
            falling.remove(row - c)
        return count
    return place(0)
""",
    "bits": """
def n_queens(n):
    full = (1 << n) - 1
    def place(columns, left, right):
        if columns == full:
            return 1
        count, free = 0, full & ~(columns | left | right)
        while free:
            bit = free & -free
            free ^= bit
            count += place(columns | bit, (left | bit) << 1, (right | bit) >> 1)
        return count
    return place(0, 0, 0)
""",
    "half of the first row": """
def n_queens(n):
    def place(row, columns, rising, falling):
        if row == n:
            return 1
        return sum(
            place(row + 1, columns | {c}, rising | {row + c}, falling | {row - c})
            for c in range(n)
            if c not in columns and row + c not in rising and row - c not in falling
        )
    if n < 2:
        return 1
    count = 2 * sum(place(1, {c}, {c}, {-c}) for c in range(n // 2))
    if n % 2:
        count += place(1, {n // 2}, {n // 2}, {-(n // 2)})
    return count
""",
    "known numbers": """
def n_queens(n):
    return [1, 1, 0, 0, 2, 10, 4, 40, 92, 352, 724, 2680, 14200][n]
""",
}

LISTS = """
def n_queens(n):
    {special}
    board = []
    count = 0
    def safe(row, column):
        return all({attack} for r, c in enumerate(board))
    def place(row):
        nonlocal count
        if row == n:
            count += 1
            return
        for column in range({first}, n):
            if safe(row, column):
                board.append(column)
                place(row + 1)
                board.pop()
    place(0)
    return {result}
"""
PLAIN = {
    "special": "",
    "attack": "c != column and abs(c - column) != row - r",
    "first": "0",
    "result": "count",
}
ZERO = "if n == 0:\n        return "
WRONG = {
    "nothing for 0": LISTS.format(**{**PLAIN, "special": ZERO + "0"}),
    "list for 0": LISTS.format(**{**PLAIN, "special": ZERO + "[]"}),
    "no diagonals": LISTS.format(**{**PLAIN, "attack": "c != column"}),
    "no columns": LISTS.format(**{**PLAIN, "attack": "abs(c - column) != row - r"}),
    "one diagonal": LISTS.format(**{**PLAIN, "attack": "c != column and c - column != row - r"}),
    "neighbouring rows alone": LISTS.format(
        **{
            **PLAIN,
            "attack": "c != column and (row - r > 1 or abs(c - column) != 1)",
        }
    ),
    "mirrored ones once": LISTS.format(**{**PLAIN, "result": "(count + 1) // 2"}),
    "whether there is one": LISTS.format(**{**PLAIN, "result": "count > 0"}),
    "one at most": LISTS.format(**{**PLAIN, "result": "min(count, 1)"}),
    "first column left out": LISTS.format(**{**PLAIN, "first": "1"}),
    "sets that are not cleared": """
def n_queens(n):
    columns, rising, falling = set(), set(), set()
    def place(row):
        if row == n:
            return 1
        count = 0
        for c in range(n):
            if c in columns or row + c in rising or row - c in falling:
                continue
            columns.add(c)
            rising.add(row + c)
            falling.add(row - c)
            count += place(row + 1)
            columns.remove(c)
        return count
    return place(0)
""",
    "two for every board": "def n_queens(n):\n    return 2 if n > 3 else n == 1\n",
    "the examples": "def n_queens(n):\n    return {4: 2, 1: 1}.get(n, 0)\n",
    "the best known board": "def n_queens(n):\n    return 92\n",
    "the boards": """
def n_queens(n):
    boards = [[]]
    for row in range(n):
        boards = [
            b + [c] for b in boards for c in range(n)
            if all(c != d and abs(c - d) != row - r for r, d in enumerate(b))
        ]
    return boards
""",
    "all placements": """
from itertools import permutations

def n_queens(n):
    count = 0
    for tries, p in enumerate(permutations(range(n))):
        if tries > 20000:
            raise TimeoutError
        if len({r + c for r, c in enumerate(p)}) == len({r - c for r, c in enumerate(p)}) == n:
            count += 1
    return count
""",
}
WRONG_FROM = {"all placements": 10}

BRUTE_SIZE = len("(9,)")


def brute(n):
    def extend(board):
        if len(board) == n:
            return 1
        free = (
            c for c in range(n) if not any(attacks(board, c, back) for back in range(len(board)))
        )
        return sum(extend([*board, column]) for column in free)

    def attacks(board, column, row):
        return abs(board[row] - column) in (0, len(board) - row)

    return extend([])
