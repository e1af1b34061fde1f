RIGHT = {
    "table": """
def word_break(s, words):
    n = len(s)
    dp = [False] * (n + 1)
    dp[0] = True
    for i in range(1, n + 1):
        for j in range(i):
            if dp[j] and s[j:i] in words:
                dp[i] = True
                break
    return dp[n]
""",
    "recursion with memory": """
from functools import lru_cache
from typing import List

def word_break(s: str, words: List[str]) -> bool:
    @lru_cache(None)
    def go(start):
        if start == len(s):
            return True
        return any(s.startswith(w, start) and go(start + len(w)) for w in words)
    return go(0)
""",
    "breadth first": """
from collections import deque

def word_break(s, words):
    queue, seen = deque([0]), {0}
    while queue:
        i = queue.popleft()
        if i == len(s):
            return True
        for w in words:
            j = i + len(w)
            if s[i:j] == w and j not in seen:
                seen.add(j)
                queue.append(j)
    return False
""",
    "from the end": """
def word_break(s, words):
    words = set(words)
    ends = [len(s)]
    for i in reversed(range(len(s))):
        if any(s[i:end] in words for end in ends):
            ends.append(i)
    return 0 in ends
""",
}

GREEDY = """
def word_break(s, words):
    words = {order}
    i = 0
    while i < len(s):
        for w in words:
            if s.startswith(w, i):
                i += len(w)
                break
        else:
            return False
    return True
"""
TABLE = """
def word_break(s, words):
    n = len(s)
    dp = [{start}] + [False] * n
    for i in range(1, {last}):
        for j in range({first}, i):
            if dp[j] and s[j:i] in words:
                dp[i] = True
    return {result}
"""
PLAIN = {"start": "True", "last": "n + 1", "first": "0", "result": "dp[n]"}
WRONG = {
    "longest word first": GREEDY.format(order="sorted(words, key=len, reverse=True)"),
    "shortest word first": GREEDY.format(order="sorted(words, key=len)"),
    "first word that fits": GREEDY.format(order="words"),
    "last word that fits": GREEDY.format(order="words[::-1]"),
    "longest or shortest first": """
def word_break(s, words):
    def greedy(words):
        i = 0
        while i < len(s):
            for w in words:
                if s.startswith(w, i):
                    i += len(w)
                    break
            else:
                return False
        return True
    words = sorted(words, key=len)
    return greedy(words) or greedy(words[::-1])
""",
    "grows a word, then cuts": """
def word_break(s, words):
    current = ''
    for letter in s:
        current += letter
        if current in words:
            current = ''
    return current == ''
""",
    "words removed": """
def word_break(s, words):
    for w in sorted(words, key=len, reverse=True):
        s = s.replace(w, '')
    return s == ''
""",
    "words removed, with a gap": """
def word_break(s, words):
    for w in sorted(words, key=len, reverse=True):
        s = s.replace(w, ' ')
    return s.strip() == ''
""",
    "every letter in a word": """
def word_break(s, words):
    covered = [False] * len(s)
    for w in words:
        for i in range(len(s)):
            if s.startswith(w, i):
                covered[i:i + len(w)] = [True] * len(w)
    return all(covered)
""",
    "letters known": """
def word_break(s, words):
    return set(s) <= set(''.join(words))
""",
    "all words occur": """
def word_break(s, words):
    return all(w in s for w in words)
""",
    "some word occurs": """
def word_break(s, words):
    return s == '' or any(w in s for w in words)
""",
    "two parts": """
def word_break(s, words):
    if not s or s in words:
        return True
    return any(s[:i] in words and s[i:] in words for i in range(len(s)))
""",
    "every word once": """
def word_break(s, words):
    def go(s, words):
        if not s:
            return True
        return any(
            s.startswith(w) and go(s[len(w):], words[:i] + words[i + 1:])
            for i, w in enumerate(words)
        )
    return go(s, words)
""",
    "all words used": """
def word_break(s, words):
    reach = {0: [set()]}
    for i in range(len(s)):
        for used in reach.get(i, []):
            for w in words:
                new = used | {w}
                if s.startswith(w, i) and new not in reach.setdefault(i + len(w), []):
                    reach[i + len(w)].append(new)
    return set(words) in reach.get(len(s), [])
""",
    "empty string is false": TABLE.format(**{**PLAIN, "result": "bool(s) and dp[n]"}),
    "nothing is reachable": TABLE.format(**{**PLAIN, "start": "False"}),
    "last letter left out": TABLE.format(**{**PLAIN, "last": "n", "result": "dp[n - 1]"}),
    "second place first": TABLE.format(**{**PLAIN, "first": "1"}),
    "the prefix is enough": TABLE.format(**{**PLAIN, "result": "not s or any(dp[1:])"}),
    "any part": TABLE.format(**PLAIN).replace("dp[j] and ", ""),
    "the parts": """
def word_break(s, words):
    parts = {0: []}
    for i in range(len(s)):
        for w in words:
            if i in parts and s.startswith(w, i):
                parts.setdefault(i + len(w), parts[i] + [w])
    return parts.get(len(s), [])
""",
    "the examples": """
def word_break(s, words):
    return {'applepie': True, 'abcd': False, 'aba': True}.get(s, True)
""",
    "recursion without memory": """
def word_break(s, words):
    calls = [0]
    def go(start):
        calls[0] += 1
        if calls[0] > 20000:
            raise TimeoutError
        if start == len(s):
            return True
        return any(s.startswith(w, start) and go(start + len(w)) for w in words)
    return go(0)
""",
}
WRONG_FROM = {"recursion without memory": 6}


def brute(s, words):
    return not s or any(s[: len(w)] == w and brute(s[len(w) :], words) for w in words)
