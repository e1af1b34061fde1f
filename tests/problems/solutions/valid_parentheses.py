RIGHT = {
    "stack": """
def valid_parentheses(s):
    pairs = {')': '(', ']': '[', '}': '{'}
    stack = []
    for c in s:
        if c in pairs:
            if not stack or stack.pop() != pairs[c]:
                return False
        else:
            stack.append(c)
    return not stack
""",
    "replace": """
def valid_parentheses(s):
    while '()' in s or '[]' in s or '{}' in s:
        s = s.replace('()', '').replace('[]', '').replace('{}', '')
    return s == ''
""",
    "expected closers": """
def valid_parentheses(s: str) -> bool:
    if len(s) % 2:
        return False
    expected = []
    for c in s:
        if c == '(':
            expected.append(')')
        elif c == '[':
            expected.append(']')
        elif c == '{':
            expected.append('}')
        elif not expected or expected.pop() != c:
            return False
    return len(expected) == 0
""",
}
WRONG = {
    "counts per kind": """
def valid_parentheses(s):
    return all(s.count(a) == s.count(b) for a, b in ('()', '[]', '{}'))
""",
    "running counts per kind": """
def valid_parentheses(s):
    depth = {'(': 0, '[': 0, '{': 0}
    opening = {')': '(', ']': '[', '}': '{'}
    for c in s:
        if c in depth:
            depth[c] += 1
        else:
            depth[opening[c]] -= 1
            if depth[opening[c]] < 0:
                return False
    return not any(depth.values())
""",
    "one depth for all": """
def valid_parentheses(s):
    depth = 0
    for c in s:
        depth += 1 if c in '([{' else -1
        if depth < 0:
            return False
    return depth == 0
""",
    "left open": """
def valid_parentheses(s):
    pairs = {')': '(', ']': '[', '}': '{'}
    stack = []
    for c in s:
        if c in pairs:
            if not stack or stack.pop() != pairs[c]:
                return False
        else:
            stack.append(c)
    return True
""",
    "crashes on an empty stack": """
def valid_parentheses(s):
    pairs = {')': '(', ']': '[', '}': '{'}
    stack = []
    for c in s:
        if c in pairs:
            if stack.pop() != pairs[c]:
                return False
        else:
            stack.append(c)
    return not stack
""",
    "even length": "def valid_parentheses(s):\n    return len(s) % 2 == 0\n",
    "empty is invalid": """
def valid_parentheses(s):
    if not s:
        return False
    while '()' in s or '[]' in s or '{}' in s:
        s = s.replace('()', '').replace('[]', '').replace('{}', '')
    return not s
""",
    "round ones only": """
def valid_parentheses(s):
    depth = 0
    for c in s:
        if c == '(':
            depth += 1
        elif c == ')':
            depth -= 1
            if depth < 0:
                return False
    return depth == 0
""",
    "mirror image": """
def valid_parentheses(s):
    swap = {'(': ')', '[': ']', '{': '}', ')': '(', ']': '[', '}': '{'}
    return s == ''.join(swap[c] for c in reversed(s))
""",
    "one replacement": """
def valid_parentheses(s):
    return s.replace('()', '').replace('[]', '').replace('{}', '') == ''
""",
}


def brute(s):
    if not s:
        return True
    closing = {"(": ")", "[": "]", "{": "}"}.get(s[0])
    return any(
        s[end] == closing and brute(s[1:end]) and brute(s[end + 1 :]) for end in range(1, len(s))
    )
