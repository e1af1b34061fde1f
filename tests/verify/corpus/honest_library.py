"""Honest programs that use the standard library."""

ADD = (((1, 2), 3), ((-5, 5), 0))

LIBRARY = [
    (
        "threads",
        """
import threading
def solve(n):
    out, lock = [], threading.Lock()
    def work(i):
        with lock: out.append(i)
    ts = [threading.Thread(target=work, args=(i,)) for i in range(n)]
    for t in ts: t.start()
    for t in ts: t.join()
    return sorted(out)
""",
        (((8,), list(range(8))),),
    ),
    (
        "thread_pool",
        """
from concurrent.futures import ThreadPoolExecutor
def solve(n):
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda i: i * i, range(n)))
""",
        (((10,), [i * i for i in range(10)]),),
    ),
    (
        "queue",
        """
import queue, threading
def solve(n):
    q = queue.PriorityQueue()
    threading.Thread(target=lambda: [q.put(-i) for i in range(n)]).start()
    return sorted(q.get(timeout=5) for _ in range(n))
""",
        (((3,), [-2, -1, 0]),),
    ),
    (
        "asyncio",
        """
import asyncio
async def add(a, b):
    await asyncio.sleep(0)
    return a + b
def solve(a, b):
    return asyncio.run(add(a, b))
""",
        ADD,
    ),
    (
        "asyncio_gather",
        """
import asyncio
async def main(n):
    q = asyncio.Queue()
    await asyncio.gather(*(q.put(i) for i in range(n)))
    return [q.get_nowait() for _ in range(n)]
def solve(n):
    return asyncio.run(asyncio.wait_for(main(n), 5))
""",
        (((4,), [0, 1, 2, 3]),),
    ),
    (
        "decimal",
        """
from decimal import Decimal, getcontext
def solve(a, b):
    getcontext().prec = 50
    return int(Decimal(a) + Decimal(b))
""",
        ADD,
    ),
    (
        "fractions",
        """
from fractions import Fraction
def solve(a, b):
    f = Fraction(a, 3) + Fraction(b, 3)
    return [f.numerator, f.denominator]
""",
        (((1, 1), [2, 3]),),
    ),
    (
        "re",
        """
import re
def solve(s):
    return re.findall(r'(?P<w>[a-z]+)\\d', s) + re.split(r'[,;]\\s*', 'a, b;c')
""",
        ((("ab1 c2 d",), ["ab", "c", "a", "b", "c"]),),
    ),
    (
        "heapq",
        """
import heapq
def solve(a):
    heapq.heapify(a)
    heapq.heappush(a, 0)
    return [heapq.heappop(a) for _ in range(len(a))] + heapq.nlargest(1, [3, 9])
""",
        ((([3, 1, 2],), [0, 1, 2, 3, 9]),),
    ),
    (
        "bisect",
        """
import bisect
def solve(a, x):
    bisect.insort(a, x)
    return [a, bisect.bisect_left(a, x)]
""",
        ((([1, 3], 2), [[1, 2, 3], 1]),),
    ),
    (
        "itertools",
        """
import itertools as it
def solve(n):
    runs = [(k, len(list(g))) for k, g in it.groupby('aab')]
    orders = list(it.permutations(range(n)))
    return [orders, list(it.accumulate(range(n))), list(it.chain([1], [2])), runs]
""",
        (((2,), [[(0, 1), (1, 0)], [0, 1], [1, 2], [("a", 2), ("b", 1)]]),),
    ),
    (
        "math",
        """
import math
def solve(n):
    root = math.isqrt(n)
    return [math.comb(n, 2), math.gcd(n, 6), root, math.sqrt(n), math.inf, math.prod([1, n])]
""",
        (((9,), [36, 3, 3, 3.0, float("inf"), 9]),),
    ),
    (
        "cmath_and_statistics",
        """
import cmath, statistics
def solve(a):
    return [statistics.median(a), statistics.mean(a), abs(cmath.sqrt(-1))]
""",
        ((([1, 2, 4],), [2, 7 / 3, 1.0]),),
    ),
    (
        "string",
        """
import string
def solve():
    return string.ascii_lowercase[:3] + string.digits + string.Template('$x').substitute(x=1)
""",
        (((), "abc01234567891"),),
    ),
    (
        "functools",
        """
from functools import partial, reduce, cmp_to_key, singledispatch, total_ordering
def solve(a):
    add = partial(lambda x, y: x + y, 1)
    return [reduce(lambda x, y: x * y, a), add(2), sorted(a, key=cmp_to_key(lambda x, y: y - x))]
""",
        ((([1, 3, 2],), [6, 3, [3, 2, 1]]),),
    ),
    (
        "copy",
        """
import copy
def solve(a):
    b = copy.deepcopy(a)
    b[0].append(1)
    return [a, copy.copy(b)]
""",
        ((([[0]],), [[[0]], [[0, 1]]]),),
    ),
    (
        "random_with_seed",
        """
import random
def solve(n):
    rng = random.Random(42)
    a = list(range(n))
    rng.shuffle(a)
    random.seed(1)
    random.random(), random.choice(a), random.sample(a, 2)
    return sorted(a)
""",
        (((5,), [0, 1, 2, 3, 4]),),
    ),
    (
        "random_unseeded",
        """
import random, secrets, uuid, os
def solve(n):
    os.urandom(8); secrets.token_hex(4); uuid.uuid4(); random.SystemRandom().random()
    pivot = random.randrange(n)
    return pivot in range(n)
""",
        (((5,), True),),
    ),
    (
        "datetime",
        """
from datetime import date, datetime, timedelta, timezone
import calendar, time
def solve(y):
    datetime.now(timezone.utc); time.time(); time.monotonic(); time.localtime()
    last = date(y, 3, 1) - timedelta(days=1)
    return [last.day, calendar.isleap(y), date(y, 1, 1).strftime('%Y')]
""",
        (((2024,), [29, True, "2024"]), ((2023,), [28, False, "2023"])),
    ),
    (
        "datetime_strptime",
        """
from datetime import datetime
def solve(s):
    return datetime.strptime(s, '%Y-%m-%d').weekday()
""",
        ((("2024-01-01",), 0),),
    ),
    (
        "zoneinfo",
        """
from datetime import datetime, timezone
from zoneinfo import ZoneInfo
def solve():
    return datetime(2024, 1, 1, tzinfo=timezone.utc).astimezone(ZoneInfo('UTC')).hour
""",
        (((), 0),),
    ),
    (
        "sleeps_a_little",
        """
import time
def solve(a, b):
    time.sleep(0.01)
    return a + b
""",
        ADD,
    ),
    (
        "counter_result",
        """
from collections import Counter
def solve(s):
    return Counter(s)
""",
        ((("aab",), {"a": 2, "b": 1}),),
    ),
    (
        "defaultdict_result",
        """
from collections import defaultdict
def solve(a):
    d = defaultdict(list)
    for x in a: d[x % 2].append(x)
    return d
""",
        ((([1, 2, 3],), {1: [1, 3], 0: [2]}),),
    ),
    (
        "ordereddict_result",
        """
from collections import OrderedDict
def solve(a):
    d = OrderedDict.fromkeys(a)
    d.move_to_end(a[0])
    return d
""",
        ((([1, 2],), {2: None, 1: None}),),
    ),
    (
        "namedtuple_result",
        """
from collections import namedtuple
P = namedtuple('P', 'x y')
def solve(a, b):
    return P(a, b)
""",
        (((1, 2), (1, 2)),),
    ),
    (
        "intenum_result",
        """
from enum import Enum, Flag, IntEnum, StrEnum, auto
class Kind(IntEnum):
    A = 1
    B = 2
class Word(StrEnum):
    X = 'x'
def solve(n):
    return [Kind(n), Word.X]
""",
        (((2,), [2, "x"]),),
    ),
    (
        "subclass_results",
        """
class L(list): pass
class D(dict): pass
class S(str): pass
class I(int): pass
class F(float): pass
class T(tuple): pass
def solve():
    return L([D(a=S('x')), I(5), F(0.5), T((1,))])
""",
        (((), [{"a": "x"}, 5, 0.5, (1,)]),),
    ),
    (
        "deque_inside",
        """
from collections import deque
def solve(n):
    q = deque([0], maxlen=100)
    for i in range(n): q.append(i); q.rotate(1)
    return list(q)
""",
        (((3,), [2, 1, 0, 0]),),
    ),
    (
        "chainmap_inside",
        """
from collections import ChainMap
def solve():
    return dict(ChainMap({'a': 1}, {'a': 2, 'b': 3}))
""",
        (((), {"a": 1, "b": 3}),),
    ),
    (
        "array_and_struct",
        """
import array, struct
def solve(n):
    a = array.array('q', range(n))
    number = struct.unpack('<I', struct.pack('<I', n))[0]
    return [a.tolist(), number, list(memoryview(bytes(a)[:2]))]
""",
        (((3,), [[0, 1, 2], 3, [0, 0]]),),
    ),
    (
        "json_and_io",
        """
import io, json
def solve(d):
    out = io.StringIO()
    json.dump(d, out)
    return json.loads(out.getvalue())
""",
        ((({"a": [1, None, 2.5]},), {"a": [1, None, 2.5]}),),
    ),
    (
        "hashes_and_base64",
        """
import base64, binascii, hashlib, zlib
def solve(s):
    b = s.encode()
    digests = [hashlib.sha256(b).hexdigest()[:8], hashlib.md5(b).hexdigest()[:4]]
    return [*digests, base64.b64encode(b).decode(), zlib.crc32(b)]
""",
        ((("abc",), ["ba7816bf", "9001", "YWJj", 891568578]),),
    ),
    (
        "text_wrap_and_diff",
        """
import difflib, textwrap, unicodedata, html
def solve(s):
    near = difflib.get_close_matches('appel', ['apple'])
    return [textwrap.wrap(s, 5), unicodedata.name('é'), html.escape('<'), near]
""",
        ((("aaa bbb",), [["aaa", "bbb"], "LATIN SMALL LETTER E WITH ACUTE", "&lt;", ["apple"]]),),
    ),
    (
        "ast_literal",
        """
import ast
def solve(s):
    return ast.literal_eval(s)
""",
        ((("[1, (2, 'x')]",), [1, (2, "x")]),),
    ),
    (
        "operator_and_types",
        """
import operator, types, inspect
def solve(a):
    f = operator.itemgetter(1)
    count = len(inspect.signature(solve).parameters)
    return [sorted(a, key=f), count, isinstance(solve, types.FunctionType)]
""",
        ((([(1, 2), (3, 1)],), [[(3, 1), (1, 2)], 1, True]),),
    ),
    (
        "contextvars_and_weakref",
        """
import contextvars, weakref
v = contextvars.ContextVar('v', default=1)
class A: pass
def solve(n):
    v.set(n)
    a = A()
    return [v.get(), weakref.ref(a)() is a]
""",
        (((3,), [3, True]),),
    ),
    (
        "csv",
        """
import csv, io
def solve(s):
    return list(csv.reader(io.StringIO(s)))
""",
        ((('a,b\n1,"2,3"\n',), [["a", "b"], ["1", "2,3"]]),),
    ),
    (
        "warnings",
        """
import warnings
def solve(a, b):
    warnings.warn('careful')
    x = '\\d'
    return a + b
""",
        ADD,
    ),
    (
        "logging",
        """
import logging
logging.basicConfig(level=logging.DEBUG)
log = logging.getLogger(__name__)
def solve(a, b):
    log.debug('adding %s', a)
    return a + b
""",
        ADD,
    ),
    (
        "traceback_printed",
        """
import traceback
def solve(a, b):
    try: 1 / 0
    except ZeroDivisionError: traceback.print_exc()
    return a + b
""",
        ADD,
    ),
    (
        "gc_and_sys",
        """
import gc, sys
sys.setswitchinterval(0.01)
def solve(a, b):
    gc.disable(); gc.collect(); gc.enable()
    sys.set_int_max_str_digits(0)
    sys.getsizeof(a), sys.version_info, sys.maxsize, sys.platform
    return a + b
""",
        ADD,
    ),
    (
        "fast_input_idiom",
        """
import sys
input = sys.stdin.readline
def solve(a, b):
    return a + b
""",
        ADD,
    ),
    (
        "reads_empty_input",
        """
import sys
def solve(a, b):
    try:
        input()
    except EOFError:
        return a + b + len(sys.stdin.read())
""",
        ADD,
    ),
    (
        "os_questions",
        """
import os, platform
def solve(a, b):
    os.getpid(); os.cpu_count(); os.environ.get('HOME'); os.path.join('a', 'b'); os.getcwd()
    os.path.exists('/nowhere')
    return a + b
""",
        ADD,
    ),
    (
        "refused_file_is_caught",
        """
def solve(a, b):
    try:
        with open('/nowhere/cache.txt') as f: f.read()
    except OSError:
        pass
    return a + b
""",
        ADD,
    ),
    (
        "resource_idiom",
        """
import resource
soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
resource.setrlimit(resource.RLIMIT_STACK, (hard, hard))
def solve(a, b):
    resource.getrusage(resource.RUSAGE_SELF)
    return a + b
""",
        ADD,
    ),
    (
        "signal_alarm_idiom",
        """
import signal
def late(*a): raise TimeoutError
def solve(a, b):
    signal.signal(signal.SIGALRM, late)
    signal.alarm(5)
    try:
        return a + b
    finally:
        signal.alarm(0)
""",
        ADD,
    ),
    (
        "atexit",
        """
import atexit
atexit.register(print, 'bye')
def solve(a, b):
    return a + b
""",
        ADD,
    ),
    (
        "time_measured",
        """
import time, timeit
def solve(a, b):
    start = time.perf_counter(); time.process_time()
    timeit.timeit(lambda: a + b, number=10)
    assert time.perf_counter() >= start
    return a + b
""",
        ADD,
    ),
    (
        "doctest",
        """
import doctest
def solve(a, b):
    '''
    >>> solve(1, 2)
    3
    '''
    return a + b
doctest.testmod()
""",
        ADD,
    ),
    (
        "unittest_inside",
        """
import unittest
class T(unittest.TestCase):
    def test(self): self.assertEqual(solve(1, 2), 3)
def solve(a, b):
    return a + b
""",
        ADD,
    ),
    (
        "numbers_and_abc",
        """
import numbers
from collections.abc import Iterable, Mapping
def solve(a, b):
    return a + b if isinstance(a, numbers.Integral) and not isinstance(a, Iterable) else None
""",
        ADD,
    ),
    (
        "tempfile_avoided_pathlib",
        """
from pathlib import PurePosixPath
def solve(s):
    return str(PurePosixPath(s).parent)
""",
        ((("/a/b",), "/a"),),
    ),
    (
        "graphlib",
        """
from graphlib import TopologicalSorter
def solve(g):
    return list(TopologicalSorter(g).static_order())
""",
        ((({"b": ["a"], "c": ["b"]},), ["a", "b", "c"]),),
    ),
    (
        "bignum_text",
        """
def solve(n):
    return str(2 ** n)
""",
        (((1000,), str(2**1000)),),
    ),
]
