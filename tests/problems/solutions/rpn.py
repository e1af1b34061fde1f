RIGHT = {
    "stack": """
def solve(tokens):
    stack = []
    for token in tokens:
        if token in ('+', '-', '*', '/'):
            b = stack.pop()
            a = stack.pop()
            if token == '+':
                stack.append(a + b)
            elif token == '-':
                stack.append(a - b)
            elif token == '*':
                stack.append(a * b)
            else:
                stack.append(int(a / b))
        else:
            stack.append(int(token))
    return stack[0]
""",
    "table": """
import math
import operator

OPERATIONS = {
    '+': operator.add, '-': operator.sub, '*': operator.mul,
    '/': lambda a, b: math.trunc(a / b),
}

def solve(tokens: list[str]) -> int:
    stack = []
    for token in tokens:
        try:
            stack.append(int(token))
        except ValueError:
            right, left = stack.pop(), stack.pop()
            stack.append(OPERATIONS[token](left, right))
    return stack.pop()
""",
    "recursion from the end": """
def solve(tokens):
    tokens = list(tokens)

    def value():
        token = tokens.pop()
        if token not in '+-*/':
            return int(token)
        b = value()
        a = value()
        if token == '+':
            return a + b
        if token == '-':
            return a - b
        if token == '*':
            return a * b
        q = abs(a) // abs(b)
        return q if (a >= 0) == (b >= 0) else -q

    return value()
""",
}
STACK = RIGHT["stack"]


def wrong(task):
    programs = {
        "operands swapped": STACK.replace("b = stack.pop()", "A = stack.pop()")
        .replace("a = stack.pop()", "b = stack.pop()")
        .replace("A = stack.pop()", "a = stack.pop()"),
        "returns the stack": STACK.replace("return stack[0]", "return stack"),
        "text": STACK.replace("return stack[0]", "return str(stack[0])"),
        "a queue": STACK.replace("b = stack.pop()", "a = stack.pop(0)").replace(
            "a = stack.pop()\n", "b = stack.pop(0)\n"
        ),
        "first operation only": """
def solve(tokens):
    if len(tokens) == 1:
        return int(tokens[0])
    operator = next(t for t in tokens if t in '+-*/')
    a, b = int(tokens[0]), int(tokens[1])
    return {'+': a + b, '-': a - b, '*': a * b}.get(operator, 0)
""",
        "needs an operator": STACK.replace(
            "    stack = []", "    if len(tokens) < 3:\n        return None\n    stack = []"
        ),
        "difference is never negative": STACK.replace("append(a - b)", "append(abs(a - b))"),
        "last token ignored": STACK.replace("in tokens:", "in tokens[:-1]:"),
        "digits are summed": STACK.replace("int(token)", "sum(map(int, token.strip('-')))"),
    }
    if "/" in task.parameters["operators"]:
        programs["rounds down"] = STACK.replace("int(a / b)", "a // b")
        programs["true division"] = STACK.replace("int(a / b)", "a / b")
    if task.level["negative"]:
        programs["isdigit"] = STACK.replace(
            "        if token in ('+', '-', '*', '/'):", "        if not token.isdigit():"
        )
    return programs


def brute(tokens, **_parameters):
    from fractions import Fraction

    values = list(tokens)
    while len(values) > 1:
        place = next(
            i for i, token in enumerate(values) if isinstance(token, str) and token in "+-*/"
        )
        a, b = (Fraction(value) for value in values[place - 2 : place])
        match values[place]:
            case "+":
                result = a + b
            case "-":
                result = a - b
            case "*":
                result = a * b
            case _:
                result = Fraction(int(a / b))  # int() of a Fraction drops the fraction
        values[place - 2 : place + 1] = [result]
    return int(values[0])
