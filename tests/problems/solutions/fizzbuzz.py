RIGHT = {
    "chain of ifs": """
def fizzbuzz(n):
    result = []
    for i in range(1, n + 1):
        if i % 15 == 0:
            result.append("FizzBuzz")
        elif i % 3 == 0:
            result.append("Fizz")
        elif i % 5 == 0:
            result.append("Buzz")
        else:
            result.append(str(i))
    return result
""",
    "words added": """
def fizzbuzz(n):
    return ["Fizz" * (i % 3 == 0) + "Buzz" * (i % 5 == 0) or str(i) for i in range(1, n + 1)]
""",
    "while loop": """
def fizzbuzz(n: int) -> list:
    out, i = [], 0
    while i < n:
        i += 1
        word = ""
        if not i % 3:
            word += "Fizz"
        if not i % 5:
            word += "Buzz"
        out.append(word if word else f"{i}")
    return out
""",
}
WRONG = {
    "plain numbers": """
def fizzbuzz(n):
    return [
        "FizzBuzz" if i % 15 == 0 else "Fizz" if i % 3 == 0 else "Buzz" if i % 5 == 0 else i
        for i in range(1, n + 1)
    ]
""",
    "stops before n": """
def fizzbuzz(n):
    return ["Fizz" * (i % 3 == 0) + "Buzz" * (i % 5 == 0) or str(i) for i in range(1, n)]
""",
    "from zero": """
def fizzbuzz(n):
    return ["Fizz" * (i % 3 == 0) + "Buzz" * (i % 5 == 0) or str(i) for i in range(n)]
""",
    "threes first": """
def fizzbuzz(n):
    result = []
    for i in range(1, n + 1):
        if i % 3 == 0:
            result.append("Fizz")
        elif i % 5 == 0:
            result.append("Buzz")
        elif i % 15 == 0:
            result.append("FizzBuzz")
        else:
            result.append(str(i))
    return result
""",
    "lower case": """
def fizzbuzz(n):
    return ["fizz" * (i % 3 == 0) + "buzz" * (i % 5 == 0) or str(i) for i in range(1, n + 1)]
""",
    "prints": """
def fizzbuzz(n):
    for i in range(1, n + 1):
        "Fizz" * (i % 3 == 0) + "Buzz" * (i % 5 == 0) or str(i)
""",
    "one string": """
def fizzbuzz(n):
    if n % 15 == 0:
        return "FizzBuzz"
    return "Fizz" if n % 3 == 0 else "Buzz" if n % 5 == 0 else str(n)
""",
    "swapped": """
def fizzbuzz(n):
    return ["Buzz" * (i % 3 == 0) + "Fizz" * (i % 5 == 0) or str(i) for i in range(1, n + 1)]
""",
    "multiples of 10 left out": """
def fizzbuzz(n):
    return [
        "Fizz" * (i % 3 == 0) + "Buzz" * (i % 10 == 5) or str(i) for i in range(1, n + 1)
    ]
""",
}


def brute(n):
    words = []
    three = five = 0
    for i in range(n):
        three, five = three + 1, five + 1
        word = ""
        if three == 3:
            word, three = word + "Fizz", 0
        if five == 5:
            word, five = word + "Buzz", 0
        words.append(word or str(i + 1))
    return words
