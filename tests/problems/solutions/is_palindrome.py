RIGHT = {
    "slice": "def is_palindrome(s):\n    return s == s[::-1]\n",
    "two pointers": """
def is_palindrome(s):
    i, j = 0, len(s) - 1
    while i < j:
        if s[i] != s[j]:
            return False
        i += 1
        j -= 1
    return True
""",
    "halves": """
def is_palindrome(s: str) -> bool:
    return all(s[i] == s[~i] for i in range(len(s) // 2))
""",
    "recursion": """
def is_palindrome(s):
    if len(s) < 2:
        return True
    return s[0] == s[-1] and is_palindrome(s[1:-1])
""",
}
WRONG = {
    "ignores case": "def is_palindrome(s):\n    s = s.lower()\n    return s == s[::-1]\n",
    "letters only": """
def is_palindrome(s):
    s = ''.join(c for c in s if c.isalnum())
    return s == s[::-1]
""",
    "usual cleaning": """
def is_palindrome(s):
    s = ''.join(c.lower() for c in s if c.isalnum())
    return s == s[::-1]
""",
    "ignores spaces": """
def is_palindrome(s):
    s = s.replace(' ', '')
    return s == s[::-1]
""",
    "ends only": "def is_palindrome(s):\n    return not s or s[0] == s[-1]\n",
    "empty is none": "def is_palindrome(s):\n    return len(s) > 0 and s == s[::-1]\n",
    "odd only": """
def is_palindrome(s):
    return len(s) % 2 == 1 and s == s[::-1]
""",
    "returns early": """
def is_palindrome(s):
    for i in range(len(s) // 2):
        if s[i] == s[-i - 1]:
            return True
        return False
    return True
""",
    "the middle pair is skipped": """
def is_palindrome(s):
    for i in range(len(s) // 2 - 1):
        if s[i] != s[-i - 1]:
            return False
    return True
""",
    "always true": "def is_palindrome(s):\n    return True\n",
    "same letters": """
def is_palindrome(s):
    return sum(s.count(c) % 2 for c in set(s)) <= 1
""",
}


def brute(s):
    return list(reversed(s)) == list(s)
