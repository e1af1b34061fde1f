RIGHT = {
    "eval": "def solve(expression):\n    return eval(expression)\n",
    "descent": """
def solve(expression):
    text = expression.replace(' ', '')
    position = 0

    def peek():
        return text[position] if position < len(text) else ''

    def factor():
        nonlocal position
        if peek() == '-':
            position += 1
            return -factor()
        if peek() == '(':
            position += 1
            value = total()
            position += 1
            return value
        start = position
        while peek().isdigit():
            position += 1
        return int(text[start:position])

    def term():
        nonlocal position
        value = factor()
        while peek() and peek() in '*/':
            if peek() == '*':
                position += 1
                value = value * factor()
            else:
                position += 2
                value = value // factor()
        return value

    def total():
        nonlocal position
        value = term()
        while peek() and peek() in '+-':
            operator = peek()
            position += 1
            value = value + term() if operator == '+' else value - term()
        return value

    return total()
""",
    "two stacks": """
import re

RANK = {'+': 1, '-': 1, '*': 2, '//': 2, 'u': 3}

def solve(expression):
    numbers, operators = [], []

    def apply():
        operator = operators.pop()
        if operator == 'u':
            numbers.append(-numbers.pop())
            return
        b, a = numbers.pop(), numbers.pop()
        numbers.append(
            a + b if operator == '+' else a - b if operator == '-'
            else a * b if operator == '*' else a // b
        )

    before = '('
    for token in re.findall(r'[0-9]+|//|[-+*()]', expression):
        if token.isdigit():
            numbers.append(int(token))
        elif token == '(':
            operators.append(token)
        elif token == ')':
            while operators[-1] != '(':
                apply()
            operators.pop()
        else:
            if token == '-' and before == '(':
                token = 'u'
            while operators and operators[-1] != '(' and RANK[operators[-1]] >= RANK[token]:
                apply()
            operators.append(token)
        before = token
    while operators:
        apply()
    return numbers[0]
""",
}

LEFT_TO_RIGHT = """
import re

def flat(tokens):
    tokens = list(tokens)
    if tokens[0] == '-':
        tokens[:2] = [-int(tokens[1])]
    value = int(tokens[0])
    for operator, number in zip(tokens[1::2], tokens[2::2]):
        number = int(number)
        if operator == '+':
            value += number
        elif operator == '-':
            value -= number
        elif operator == '*':
            value *= number
        else:
            value //= number
    return value

def solve(expression):
    tokens = re.findall(r'[0-9]+|//|[-+*()]', expression)
    while '(' in tokens:
        close = tokens.index(')')
        start = close - tokens[:close][::-1].index('(') - 1
        value = flat(tokens[start + 1:close])
        tokens[start:close + 1] = [str(value)]
    return flat(tokens)
"""
RIGHT_TO_LEFT = """
import re

def solve(expression):
    tokens = re.findall(r'[0-9]+|//|[-+*]', expression)
    value = int(tokens.pop())
    while len(tokens) > 1:
        operator, number = tokens.pop(), int(tokens.pop())
        if operator == '+':
            value = number + value
        elif operator == '-':
            value = number - value
        elif operator == '*':
            value = number * value
        else:
            value = number // value
    return value
"""


def wrong(task):
    operators = task.parameters["operators"]
    programs = {
        "text": "def solve(expression):\n    return str(eval(expression))\n",
        "single digits": """
def solve(expression):
    import re
    return eval(re.sub(r'[0-9]+', lambda m: m.group()[0], expression))
""",
        "needs an operator": """
def solve(expression):
    if not any(o in expression for o in '+-*/'):
        return None
    return eval(expression)
""",
        "the first number": """
def solve(expression):
    import re
    return int(re.search(r'[0-9]+', expression).group())
""",
        "the sum of all numbers": """
def solve(expression):
    import re
    return sum(map(int, re.findall(r'[0-9]+', expression)))
""",
        "prints": "def solve(expression):\n    eval(expression)\n",
        "first operation only": """
def solve(expression):
    import re
    found = re.match(r'[^0-9]*([0-9]+) *(//|[-+*]) *([0-9]+)', expression)
    return eval(''.join(found.groups())) if found else eval(expression)
""",
    }
    if "-" in operators or "//" in operators:
        programs["right to left"] = RIGHT_TO_LEFT
    if "-" in operators:
        programs["never below zero"] = "def solve(expression):\n    return abs(eval(expression))\n"
    if len({operator in "+-" for operator in operators}) == 2:
        programs["no precedence"] = LEFT_TO_RIGHT
    if "//" in operators:
        programs["true division"] = (
            "def solve(expression):\n    return eval(expression.replace('//', '/'))\n"
        )
        if task.level["depth"] and "-" in operators:
            programs["drops the fraction"] = RIGHT["descent"].replace(
                "value // factor()", "int(value / factor())"
            )
    if task.level["depth"]:
        programs["ignores parentheses"] = """
def solve(expression):
    return eval(expression.replace('(', ' ').replace(')', ' ').strip().replace('- -', '+'))
"""
    return programs


def brute(expression, **_parameters):
    import ast
    import operator

    apply = {
        ast.Add: operator.add,
        ast.Sub: operator.sub,
        ast.Mult: operator.mul,
        ast.FloorDiv: operator.floordiv,
    }

    def walk(node):
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.UnaryOp):
            return -walk(node.operand)
        return apply[type(node.op)](walk(node.left), walk(node.right))

    return walk(ast.parse(expression, mode="eval").body)
