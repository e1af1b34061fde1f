RIGHT = {
    "loop": """
def fibonacci(n):
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a
""",
    "list": """
def fibonacci(n):
    if n <= 1:
        return n
    fib = [0, 1]
    for i in range(2, n + 1):
        fib.append(fib[i - 1] + fib[i - 2])
    return fib[n]
""",
    "doubling": """
def fibonacci(n):
    def pair(k):
        if k == 0:
            return 0, 1
        a, b = pair(k // 2)
        c, d = a * (2 * b - a), a * a + b * b
        return (d, c + d) if k % 2 else (c, d)
    return pair(n)[0]
""",
    "matrix": """
def fibonacci(n):
    result, base = (1, 0, 0, 1), (1, 1, 1, 0)
    mul = lambda x, y: (
        x[0] * y[0] + x[1] * y[2], x[0] * y[1] + x[1] * y[3],
        x[2] * y[0] + x[3] * y[2], x[2] * y[1] + x[3] * y[3],
    )
    while n:
        if n & 1:
            result = mul(result, base)
        base = mul(base, base)
        n >>= 1
    return result[1]
""",
}
WRONG = {
    "starts at one": """
def fibonacci(n):
    a, b = 1, 1
    for _ in range(n):
        a, b = b, a + b
    return a
""",
    "golden ratio": """
def fibonacci(n):
    phi = (1 + 5 ** 0.5) / 2
    return round(phi ** n / 5 ** 0.5)
""",
    "off by one": """
def fibonacci(n):
    a, b = 0, 1
    for _ in range(n - 1):
        a, b = b, a + b
    return a
""",
    "zero is one": """
def fibonacci(n):
    if n <= 1:
        return 1
    a, b = 1, 1
    for _ in range(n - 2):
        a, b = b, a + b
    return b
""",
    "list of numbers": """
def fibonacci(n):
    fib = [0, 1]
    for i in range(2, n + 1):
        fib.append(fib[-1] + fib[-2])
    return fib
""",
    "n + 1 is forgotten": """
def fibonacci(n):
    fib = [0] * (n + 1)
    fib[1] = 1
    for i in range(2, n):
        fib[i] = fib[i - 1] + fib[i - 2]
    return fib[n]
""",
    "crashes at zero": """
def fibonacci(n):
    fib = [0] * (n + 1)
    fib[1] = 1
    for i in range(2, n + 1):
        fib[i] = fib[i - 1] + fib[i - 2]
    return fib[n]
""",
    "the examples": """
def fibonacci(n):
    return {4: 3, 10: 55}.get(n, n)
""",
    "recursion without memory": """
def fibonacci(n):
    calls = [0]
    def fib(k):
        calls[0] += 1
        if calls[0] > 200000:
            raise TimeoutError
        return k if k < 2 else fib(k - 1) + fib(k - 2)
    return fib(n)
""",
}


def brute(n):
    values = [0, 1]
    while len(values) <= n:
        values.append(sum(values[-2:]))
    return values[n]
