RIGHT = {
    "slice": "def reverse_string(s):\n    return s[::-1]\n",
    "reversed": "def reverse_string(s):\n    return ''.join(reversed(s))\n",
    "two pointers": """
def reverse_string(s):
    chars = list(s)
    i, j = 0, len(chars) - 1
    while i < j:
        chars[i], chars[j] = chars[j], chars[i]
        i, j = i + 1, j - 1
    return ''.join(chars)
""",
    "recursion": """
def reverse_string(s):
    if len(s) <= 1:
        return s
    middle = len(s) // 2
    return reverse_string(s[middle:]) + reverse_string(s[:middle])
""",
}
WRONG = {
    "words": "def reverse_string(s):\n    return ' '.join(s.split()[::-1])\n",
    "each word": "def reverse_string(s):\n    return ' '.join(w[::-1] for w in s.split())\n",
    "first character lost": "def reverse_string(s):\n    return s[:0:-1]\n",
    "unchanged": "def reverse_string(s):\n    return s\n",
    "lower case": "def reverse_string(s):\n    return s.lower()[::-1]\n",
    "stripped": "def reverse_string(s):\n    return s.strip()[::-1]\n",
    "sorted": "def reverse_string(s):\n    return ''.join(sorted(s, reverse=True))\n",
    "letters only": """
def reverse_string(s):
    return ''.join(c for c in reversed(s) if c.isalnum() or c == ' ')
""",
    "a list": "def reverse_string(s):\n    return list(reversed(s))\n",
    "off by one": """
def reverse_string(s):
    out = ''
    for i in range(len(s) - 1, 0, -1):
        out += s[i]
    return out
""",
    "prints": "def reverse_string(s):\n    s[::-1]\n",
}


def brute(s):
    chars = list(s)
    return "".join(chars.pop() for _ in range(len(s)))
