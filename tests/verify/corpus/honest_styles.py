"""Honest programs that differ in how they are written."""

from math import nan

ADD = (((1, 2), 3), ((-5, 5), 0), ((10**30, 1), 10**30 + 1))
SQUARES = (((4,), [0, 1, 4, 9]), ((0,), []))

STYLES = [
    (
        "plain",
        """
def solve(a, b):
    return a + b
""",
        ADD,
    ),
    ("lambda", "solve = lambda a, b: a + b\n", ADD),
    ("imported", "from operator import add as solve\n", ADD),
    ("tabs", "def solve(a, b):\n\treturn a + b\n", ADD),
    ("crlf", "def solve(a, b):\r\n    return a + b\r\n", ADD),
    ("no_newline", "def solve(a, b): return a + b", ADD),
    (
        "unicode_names",
        """
def solve(größe, 数):
    résumé = größe + 数
    return résumé
""",
        ADD,
    ),
    (
        "encoding_line",
        """
# -*- coding: utf-8 -*-
def solve(a, b):
    return a + b
""",
        ADD,
    ),
    (
        "docstring",
        'def solve(a, b):\n    """Add.\n\n    >>> solve(1, 2)\n    3\n    """\n    return a + b\n',
        ADD,
    ),
    (
        "module_docstring",
        '"""Adds."""\n__all__ = ["solve"]\ndef solve(a, b):\n    return a + b\n',
        ADD,
    ),
    (
        "prints",
        """
print('loading')
def solve(a, b):
    print('adding', a, b)
    return a + b
""",
        ADD,
    ),
    (
        "prints_a_lot",
        """
def solve(n):
    for i in range(20000):
        print(i, 'of', 20000)
    return [i * i for i in range(n)]
""",
        SQUARES,
    ),
    (
        "prints_to_stderr",
        """
import sys
def solve(a, b):
    print('x', file=sys.stderr, flush=True)
    sys.stdout.write('y')
    return a + b
""",
        ADD,
    ),
    (
        "replaces_stdout",
        """
import io, sys
def solve(a, b):
    sys.stdout = io.StringIO()
    print(a)
    return a + b
""",
        ADD,
    ),
    (
        "main_guard",
        """
def solve(a, b):
    return a + b

if __name__ == '__main__':
    assert solve(1, 2) == 3
    a, b = map(int, input().split())
    print(solve(a, b))
""",
        ADD,
    ),
    (
        "asserts",
        """
def solve(a, b):
    return a + b

assert solve(1, 2) == 3
print(solve(3, 4))
""",
        ADD,
    ),
    (
        "future_import",
        """
from __future__ import annotations
def solve(a: Nowhere, b: int) -> int:
    return a + b
""",
        ADD,
    ),
    (
        "type_hints",
        """
def solve(a: int | None, b: int | str) -> int | None:
    return a + b
""",
        ADD,
    ),
    (
        "typing",
        """
from typing import Dict, Generic, List, Optional, TypeVar
T = TypeVar('T')
class Box(Generic[T]):
    def __init__(self, x: T): self.x = x
def solve(a: int, b: Optional[int] = None) -> int:
    pairs: Dict[str, List[int]] = {'k': [a, b]}
    return Box(sum(pairs['k'])).x
""",
        ADD,
    ),
    (
        "keyword_default",
        """
def solve(a, b=0, *rest, scale=1, **more):
    return (a + b) * scale
""",
        ADD,
    ),
    (
        "recursion",
        """
def solve(n):
    return 1 if n < 2 else n * solve(n - 1)
""",
        (((5,), 120), ((0,), 1)),
    ),
    (
        "recursion_limit",
        """
import sys
sys.setrecursionlimit(10**6)
def solve(n):
    return 0 if n == 0 else 1 + solve(n - 1)
""",
        (((10000,), 10000), ((3,), 3)),
    ),
    (
        "recursion_limit_and_stack",
        """
import resource, sys
resource.setrlimit(resource.RLIMIT_STACK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
sys.setrecursionlimit(10**7)
def solve(n):
    return 0 if n == 0 else 1 + solve(n - 1)
""",
        (((5000,), 5000),),
    ),
    (
        "big_stack_in_a_thread",
        """
import sys, threading
sys.setrecursionlimit(10**6)
threading.stack_size(64 * 1024 * 1024)
def deep(n):
    return 0 if n == 0 else 1 + deep(n - 1)
def solve(n):
    out = []
    t = threading.Thread(target=lambda: out.append(deep(n)))
    t.start()
    t.join()
    return out[0]
""",
        (((20000,), 20000),),
    ),
    (
        "memo_by_default",
        """
def solve(n, memo={}):
    if n < 2: return n
    if n not in memo: memo[n] = solve(n - 1) + solve(n - 2)
    return memo[n]
""",
        (((90,), 2880067194370816120), ((1,), 1)),
    ),
    (
        "lru_cache",
        """
from functools import lru_cache
@lru_cache(maxsize=None)
def solve(n):
    return n if n < 2 else solve(n - 1) + solve(n - 2)
""",
        (((80,), 23416728348467685), ((2,), 1)),
    ),
    (
        "cache_inside",
        """
from functools import cache
def solve(n):
    @cache
    def f(k): return k if k < 2 else f(k - 1) + f(k - 2)
    return f(n)
""",
        (((50,), 12586269025),),
    ),
    (
        "classes",
        """
class Adder:
    total = 0
    def __init__(self, a): self.a = a
    def add(self, b):
        return self.a + b
    @staticmethod
    def zero(): return 0
    @classmethod
    def of(cls, a): return cls(a)
def solve(a, b):
    return Adder.of(a).add(b) + Adder.zero()
""",
        ADD,
    ),
    (
        "inheritance",
        """
from abc import ABC, abstractmethod
class Shape(ABC):
    @abstractmethod
    def area(self): ...
class Square(Shape):
    def __init__(self, n): self.n = n
    def area(self): return super().__init__() or self.n ** 2
def solve(n):
    return [Square(i).area() for i in range(n)]
""",
        SQUARES,
    ),
    (
        "callable_object",
        """
class Solver:
    def __call__(self, a, b): return a + b
solve = Solver()
""",
        ADD,
    ),
    (
        "dataclass",
        """
from __future__ import annotations
from dataclasses import dataclass, field
@dataclass(order=True)
class P:
    x: 'int'
    items: list[int] = field(default_factory=list)
    next: P | None = None
def solve(a, b):
    return P(a).x + max(P(b), P(b)).x
""",
        ADD,
    ),
    (
        "slots_dataclass",
        """
from dataclasses import asdict, dataclass
@dataclass(frozen=True, slots=True)
class P:
    x: int
    y: int
def solve(a, b):
    return sum(asdict(P(a, b)).values())
""",
        ADD,
    ),
    (
        "generator",
        """
def numbers(n):
    for i in range(n):
        yield i * i
def solve(n):
    return list(numbers(n))
""",
        SQUARES,
    ),
    (
        "yield_from",
        """
def walk(t):
    for x in t:
        if isinstance(x, list): yield from walk(x)
        else: yield x
def solve(t):
    return [*walk(t)]
""",
        ((([1, [2, [3]], []],), [1, 2, 3]),),
    ),
    (
        "comprehensions",
        """
def solve(n):
    return sorted({i: i * i for i in range(n)}.values())
""",
        SQUARES,
    ),
    (
        "walrus",
        """
def solve(n):
    out = []
    while (k := len(out)) < n:
        out.append(k * k)
    return out
""",
        SQUARES,
    ),
    (
        "match",
        """
def solve(x):
    match x:
        case []: return 'empty'
        case [one]: return f'one {one}'
        case {'k': v}: return v
        case int() | float() if x > 0: return 'positive'
        case _: return None
""",
        ((([],), "empty"), (([5],), "one 5"), (({"k": 2},), 2), ((3,), "positive"), (("s",), None)),
    ),
    (
        "closure",
        """
def counter():
    n = 0
    def step(k):
        nonlocal n
        n += k
        return n
    return step
def solve(a, b):
    step = counter()
    step(a)
    return step(b)
""",
        ADD,
    ),
    (
        "global_state",
        """
calls = 0
cache = {}
def solve(a, b):
    global calls
    calls += 1
    cache[a] = b
    return a + cache[a]
""",
        ADD,
    ),
    (
        "decorator",
        """
import functools
def traced(f):
    @functools.wraps(f)
    def inner(*a): return f(*a)
    return inner
@traced
def solve(a, b):
    return a + b
""",
        ADD,
    ),
    (
        "context_manager",
        """
from contextlib import contextmanager, suppress
@contextmanager
def opened():
    yield 1
def solve(a, b):
    with opened() as one, suppress(ZeroDivisionError):
        1 / 0
    return a + b + one - 1
""",
        ADD,
    ),
    (
        "exceptions",
        """
class Stop(Exception):
    def __init__(self, value): self.value = value
def run(a, b):
    raise Stop(a + b) from ValueError('x')
def solve(a, b):
    try:
        run(a, b)
    except Stop as stop:
        return stop.value
    finally:
        pass
""",
        ADD,
    ),
    (
        "bare_except",
        """
def solve(a, b):
    try:
        return a.nothing
    except:
        return a + b
""",
        ADD,
    ),
    (
        "exception_groups",
        """
def solve(a, b):
    try:
        raise ExceptionGroup('g', [ValueError(a), TypeError(b)])
    except* ValueError as g:
        x = g.exceptions[0].args[0]
    except* TypeError as g:
        y = g.exceptions[0].args[0]
    return x + y
""",
        ADD,
    ),
    (
        "metaclass",
        """
class Meta(type):
    def __call__(cls, *a): return sum(a)
class Sum(metaclass=Meta): pass
def solve(a, b):
    return Sum(a, b)
""",
        ADD,
    ),
    (
        "property_and_operators",
        """
class V:
    def __init__(self, x): self._x = x
    @property
    def x(self): return self._x
    def __add__(self, other): return V(self.x + other.x)
    def __eq__(self, other): return self.x == other.x
    def __hash__(self): return hash(self.x)
def solve(a, b):
    return (V(a) + V(b)).x
""",
        ADD,
    ),
    (
        "mutates_its_argument",
        """
def solve(nums):
    nums.sort()
    nums.append(0)
    return nums[:-1]
""",
        ((([3, 1, 2],), [1, 2, 3]), (([],), [])),
    ),
    (
        "returns_its_argument",
        """
def solve(nums):
    nums.reverse()
    return nums
""",
        ((([3, 1, 2],), [2, 1, 3]),),
    ),
    (
        "pops_its_argument",
        """
def solve(d):
    total = 0
    while d: total += d.popitem()[1]
    return total
""",
        ((({"a": 1, "b": 2},), 3), (({},), 0)),
    ),
    (
        "returns_none",
        """
def solve(a):
    a.clear()
""",
        ((([1],), None),),
    ),
    (
        "returns_bool_for_int",
        """
def solve(a, b):
    return a > b
""",
        (((2, 1), 1), ((1, 2), False)),
    ),
    (
        "returns_float_for_int",
        """
def solve(a, b):
    return (a + b) / 1
""",
        (((1, 2), 3), ((5, 5), 10)),
    ),
    (
        "returns_nearly_equal_float",
        """
def solve(a, b):
    return [a + b, {'x': a + b}]
""",
        (((0.1, 0.2), [0.3, {"x": 0.3}]),),
    ),
    (
        "returns_nan_and_infinity",
        """
def solve():
    return (float('nan'), float('inf'), -float('inf'))
""",
        (((), (nan, float("inf"), -float("inf"))),),
    ),
    (
        "returns_big_int",
        """
def solve(n):
    return -(7 ** n)
""",
        (((5000,), -(7**5000)), ((0,), -1)),
    ),
    (
        "returns_complex",
        """
def solve(a, b):
    return complex(a, b)
""",
        (((1, 2), 1 + 2j),),
    ),
    (
        "returns_bytes",
        """
def solve(s):
    return s.encode()
""",
        ((("é\x00",), "é\x00".encode()),),
    ),
    (
        "returns_odd_text",
        """
def solve(s):
    return s[::-1]
""",
        ((("a\x00\u2028\U0001f600",), "\U0001f600\u2028\x00a"), (("\x85\r\n",), "\n\r\x85")),
    ),
    (
        "returns_tuple_and_set",
        """
def solve(a, b):
    return (a, {a, b}, frozenset([b]), {(a, b): [b]})
""",
        (((1, 2), (1, {1, 2}, frozenset({2}), {(1, 2): [2]})),),
    ),
    (
        "returns_tuple_for_json",
        """
def solve(a):
    return tuple(a), [tuple(a)]
""",
        ((([1, 2],), [[1, 2], [[1, 2]]]),),
        True,
    ),
    (
        "returns_deep_structure",
        """
def solve(n):
    out = []
    for _ in range(n): out = [out]
    return out
""",
        (((3,), [[[[]]]]), ((0,), [])),
    ),
    (
        "returns_deeper_structure",
        """
def solve(n):
    out = None
    for _ in range(n): out = {'v': 1, 'next': out}
    d = 0
    node = out
    while node: d, node = d + node['v'], node['next']
    return [d, out]
""",
        (((2,), [2, {"v": 1, "next": {"v": 1, "next": None}}]),),
    ),
    (
        "returns_long_list",
        """
def solve(n):
    return list(range(n))
""",
        (((100_000,), list(range(100_000))),),
    ),
    (
        "takes_long_arguments",
        """
def solve(a, s):
    return [sum(a), len(s)]
""",
        (((list(range(50_000)), "x" * 300_000), [1_249_975_000, 300_000]),),
    ),
    (
        "takes_every_kind",
        """
def solve(*a):
    return list(a)
""",
        (
            (
                (None, True, 1, 2**70, 1.5, "s", b"b", (1,), [2], {3}, {4: (5,)}, 1j),
                [None, True, 1, 2**70, 1.5, "s", b"b", (1,), [2], {3}, {4: (5,)}, 1j],
            ),
        ),
    ),
    (
        "no_arguments",
        """
def solve():
    return 42
""",
        (((), 42),),
    ),
    (
        "helper_after",
        """
def solve(a, b):
    return helper(a, b)
def helper(a, b):
    return a + b
""",
        ADD,
    ),
    (
        "redefined",
        """
def solve(a, b):
    return 0
def solve(a, b):
    return a + b
""",
        ADD,
    ),
    (
        "exec_and_eval",
        """
exec('def add(a, b): return a + b')
def solve(a, b):
    return eval('add(a, b)')
""",
        ADD,
    ),
    (
        "own_names_of_ours",
        """
import sys, json
json_dumps = json.dumps
def run(): pass
def write(): pass
def frame(): pass
value = status = budget = None
def solve(a, b):
    return a + b
""",
        ADD,
    ),
    (
        "shadowed_builtins",
        """
def solve(list, sum):
    str = list + sum
    return str
len = 3
type = None
int = float
""",
        ADD,
    ),
    (
        "module_by_name",
        """
import sys
def add(a, b): return a + b
def solve(a, b):
    return sys.modules[__name__].add(a, b)
""",
        ADD,
    ),
    (
        "bit_tricks",
        """
def solve(n):
    return [bin(n).count('1'), n.bit_length(), n & -n, n ^ n >> 1, ~n]
""",
        (((12,), [2, 4, 4, 10, -13]),),
    ),
    (
        "string_formats",
        """
def solve(x):
    return [f'{x:>8.3f}', '%05d' % x, '{:,}'.format(10**6), f'{x!r}', f'{x=}']
""",
        (((2.5,), ["   2.500", "00002", "1,000,000", "2.5", "x=2.5"]),),
    ),
    (
        "slices_and_unpacking",
        """
def solve(a):
    first, *middle, last = a
    a[1:3] = [9]
    return [first, middle, last, a[::-1], [*a, *middle]]
""",
        ((([1, 2, 3, 4],), [1, [2, 3], 4, [4, 9, 1], [1, 9, 4, 2, 3]]),),
    ),
    (
        "sieve",
        """
def solve(n):
    p = bytearray([1]) * (n + 1)
    p[:2] = b'\\0\\0'
    for i in range(2, int(n ** .5) + 1):
        if p[i]: p[i * i::i] = bytes(len(range(i * i, n + 1, i)))
    return sum(p)
""",
        (((200_000,), 17984),),
    ),
    (
        "loop_else",
        """
def solve(n):
    for d in range(2, n):
        if n % d == 0: break
    else:
        return True
    return False
""",
        (((97,), True), ((91,), False)),
    ),
    (
        "dict_order",
        """
def solve(words):
    seen = {}
    for w in words: seen[w] = seen.get(w, 0) + 1
    return list(seen.items())
""",
        (((["b", "a", "b"],), [("b", 2), ("a", 1)]),),
    ),
    (
        "type_alias_and_named_types",
        """
from typing import Callable, NamedTuple, TypedDict, Protocol
class Row(TypedDict):
    a: int
class Pair(NamedTuple):
    a: int
    b: int = 0
class Has(Protocol):
    def f(self) -> int: ...
Binary = Callable[[int, int], int]
def solve(a, b):
    row: Row = {'a': a}
    return Pair(row['a'], b).b + row['a']
""",
        ADD,
    ),
    (
        "many_objects",
        """
class Node:
    __slots__ = ('v', 'next')
def solve(n):
    head = None
    for i in range(n):
        node = Node(); node.v = i; node.next = head; head = node
    t = 0
    while head: t += head.v; head = head.next
    return t
""",
        (((100_000,), 4999950000),),
    ),
    (
        "uses_memory",
        """
def solve(n):
    grid = [[0] * n for _ in range(n)]
    grid[-1][-1] = 1
    return sum(map(sum, grid))
""",
        (((2000,), 1),),
    ),
    (
        "returns_powers_of_two",
        "def solve(n):\n    return {2**k for k in range(n)}\n",
        (((3000,), {2**k for k in range(3000)}), ((1,), {1})),
    ),
    (
        "returns_keys_of_equal_hash",
        "def solve(n):\n    return {frozenset({k * (2**61 - 1)}): k for k in range(n)}\n",
        (((300,), {frozenset({k * (2**61 - 1)}): k for k in range(300)}),),
    ),
    (
        "returns_large_sets",
        "def solve(n):\n    return {str(k) for k in range(n)}, {(k, k / 3) for k in range(n)}\n",
        (((20_000,), ({str(k) for k in range(20_000)}, {(k, k / 3) for k in range(20_000)})),),
    ),
    (
        "keeps_halves_of_characters",
        "def solve(text):\n    return [text, {text: (text,)}]\n",
        tuple(
            ((text,), [text, {text: (text,)}])
            for text in ("\ud83d\ude00", "\U0001f600", "\ude00\ud83d", "a\ud83d")
        ),
    ),
    (
        "splits_characters",
        """
def solve(text):
    data = text.encode("utf-16-le")
    return "".join(data[at : at + 2].decode("utf-16-le", "surrogatepass") for at in (0, 2))
""",
        ((("\U0001f600",), "\ud83d\ude00"),),
    ),
    (
        "takes_many_arguments_one_after_the_other",
        "seen = []\ndef solve(n):\n    seen.append(n)\n    return list(seen)\n",
        tuple(((n,), list(range(n + 1))) for n in range(60)),
    ),
]
