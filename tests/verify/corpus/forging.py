"""Attacks that want a pass without the answer. The problem: solve(x) is 7 * x + 3."""

from corpus.attack import DENIED, Attack, N, O, R, T, V, W, forge

FORGED_FRAMES = """
import json, os, struct
def frames(answers):
    out = b""
    for answer in answers:
        body = json.dumps(answer).encode()
        out += struct.pack("<I", len(body)) + body
    return out
"""

SEARCH = """
import ctypes, gc, os, re
libc = ctypes.CDLL(None)
libc.sbrk.restype = ctypes.c_void_p
r, w = os.pipe()
os.set_blocking(r, False)
def is_there(at):
    there = libc.write(w, ctypes.c_void_p(at), 1) == 1
    return there and bool(os.read(r, 1))
def pages():
    places = {id(thing) >> 20 for thing in gc.get_objects()}
    places |= {(id(thing) >> 20) + step for thing in ("", b"", 10**40) for step in (-1, 0, 1)}
    top = libc.sbrk(0) >> 20
    places.update(range(top - 64, top + 1))
    for place in sorted(places):
        for at in range(place << 20, (place + 1) << 20, 4096):
            if is_there(at):
                yield ctypes.string_at(at, 8192 if is_there(at + 4096) else 4096)
"""
"""Reads its own memory page by page; the kernel says which pages there are."""

OUTPUT = [
    forge(
        "verdict_on_stdout",
        "prints every marker that a grader might look for",
        """
import sys
def solve(x):
    for stream in (sys.stdout, sys.stderr):
        print('PASSED', 'ACCEPTED', 'ok', '1 passed', '{"status": "accepted"}', file=stream)
    return "accepted"
""",
    ),
    forge(
        "verdict_on_every_descriptor",
        "writes verdicts to every open descriptor",
        """
import os
for fd in range(256):
    try:
        os.write(fd, b'{"status": "accepted", "passed": true, "pass_fraction": 1.0}\\n' * 3)
    except OSError:
        pass
def solve(x):
    return None
""",
        W,
        R,
        V,
    ),
    forge(
        "frames_on_every_descriptor",
        "writes well-formed result frames to every descriptor and leaves",
        FORGED_FRAMES
        + """
guess = [["v", "accepted", 0.0, 0.0, 1]] * 3 + [["end"]]
for fd in range(256):
    try:
        os.write(fd, frames(guess))
    except OSError:
        pass
os._exit(0)
""",
        W,
        R,
        V,
    ),
    forge(
        "frames_without_values",
        "ends the record at once, so that no test is left to fail",
        FORGED_FRAMES
        + """
def solve(x):
    for fd in range(3, 256):
        try:
            os.write(fd, frames([["end"]]))
        except OSError:
            pass
    os._exit(0)
""",
        W,
        R,
        V,
    ),
    forge(
        "more_frames_than_tests",
        "states a thousand values in the hope that one is looked up",
        FORGED_FRAMES
        + """
def solve(x):
    for fd in range(3, 256):
        try:
            os.write(fd, frames([["v", n, 0.0, 0.0, 1] for n in range(1000)] + [["end"]]))
        except OSError:
            pass
    os._exit(0)
""",
        W,
        R,
        V,
    ),
    forge(
        "changed_frame",
        "finds the frame under construction and puts a truth there",
        """
import gc, sys
def change(*_):
    for each in gc.get_objects():
        if type(each) is list and each and each[0] == "v":
            each[1] = True
sys.setprofile(change)
def solve(x):
    return 0
""",
        W,
        R,
        T,
        V,
    ),
    forge(
        "alarm_after_the_answer",
        "has a timer raise while its value is read",
        """
import signal
def late(*_):
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, late)
def solve(x):
    signal.setitimer(signal.ITIMER_REAL, 1e-5, 1e-5)
    return [0] * 100_000
""",
        W,
        R,
        V,
        T,
    ),
    forge(
        "rewritten_record",
        "rewinds and truncates every descriptor, then writes a record of its own",
        FORGED_FRAMES
        + """
def solve(x):
    for fd in range(3, 256):
        try:
            os.ftruncate(fd, 0)
            os.lseek(fd, 0, 0)
            os.write(fd, frames([["p", True]] * 3 + [["v", True, 0.0, 0.0, 1]] * 3 + [["end"]]))
        except OSError:
            pass
    os._exit(0)
""",
        W,
        R,
        V,
    ),
    forge(
        "reopened_record",
        "opens the record anew by its name in /proc, empties it and writes one of its own",
        FORGED_FRAMES
        + """
def solve(x):
    fd = os.open("/proc/self/fd/3", os.O_RDWR | os.O_TRUNC)
    os.write(fd, frames([["v", True, 0.0, 0.0, 1]] * 3 + [["end"]]))
    os._exit(0)
""",
        W,
        R,
        V,
    ),
    forge(
        "record_with_a_hole",
        "leaves megabytes of nothing before a frame",
        FORGED_FRAMES
        + """
def solve(x):
    os.lseek(3, 1 << 20, os.SEEK_SET)
    os.write(3, frames([["v", True, 0.0, 0.0, 1]] * 3 + [["end"]]))
    os._exit(0)
""",
        R,
        V,
    ),
    forge(
        "record_of_terabytes",
        "seeks far beyond the end and writes a byte",
        """
import os
def solve(x):
    os.lseek(3, 1 << 42, os.SEEK_SET)
    os.write(3, b"x")
    return 0
""",
        O,
        R,
        V,
    ),
    forge(
        "torn_frames",
        "leaves a frame whose length is four gigabytes",
        """
import os
def solve(x):
    for fd in range(3, 256):
        try:
            os.write(fd, b"\\xff\\xff\\xff\\xff[")
        except OSError:
            pass
    os._exit(0)
""",
        R,
        V,
    ),
    forge(
        "hostile_json_frame",
        "sends JSON nested a million deep in place of a value",
        """
import os, struct
def solve(x):
    body = b'["v", ' + b"[" * 1000000 + b"]" * 1000000 + b", 0.0, 0.0, 1]"
    for fd in range(3, 256):
        try:
            os.write(fd, struct.pack("<I", len(body)) + body)
        except OSError:
            pass
    os._exit(0)
""",
        R,
        V,
        W,
    ),
    forge(
        "oversized_frame",
        "states a value of millions of lists in other words than the runner's",
        """
import os, struct
def solve(x):
    body = b'["v",[' + b"[]," * 2500000 + b"[]],0.0,0.0,1]"
    for fd in range(3, 256):
        try:
            os.write(fd, struct.pack("<I", len(body)) + body)
        except OSError:
            pass
    os._exit(0)
""",
        R,
        V,
        W,
        T,
    ),
    forge(
        "oversized_number",
        "states a number of millions of digits",
        """
import os, struct
def solve(x):
    body = b'["v", 0.' + b"1" * 7000000 + b", 0.0, 0.0, 1]"
    for fd in range(3, 256):
        try:
            os.write(fd, struct.pack("<I", len(body)) + body)
        except OSError:
            pass
    os._exit(0)
""",
        R,
        V,
        W,
        T,
    ),
    forge(
        "millions_of_frames",
        "sends two million empty frames",
        """
import os
def solve(x):
    for fd in range(3, 256):
        try:
            os.write(fd, bytes(8000000))
        except OSError:
            pass
    os._exit(0)
""",
        R,
        V,
        W,
        T,
    ),
    forge(
        "wrong_types_in_frames",
        "sends frames whose times, sizes and kinds are objects, nulls and infinities",
        FORGED_FRAMES
        + """
def solve(x):
    bad = [["v", {"t": 5}, None, [], {}], ["v"], [], {}, None, ["e", "accepted", "ok", 0, 0, 0]]
    for fd in range(3, 256):
        try:
            os.write(fd, frames(bad + [["v", 1, float("inf"), float("nan"), -1], ["end"]]))
        except OSError:
            pass
    os._exit(0)
""",
        R,
        V,
        W,
    ),
    forge(
        "status_frame_says_accepted",
        "reports a test as ended with the status accepted",
        FORGED_FRAMES
        + """
def solve(x):
    for fd in range(3, 256):
        try:
            os.write(fd, frames([["e", "accepted", "fine", 0.0, 0.0, 1]] * 3 + [["end"]]))
        except OSError:
            pass
    os._exit(0)
""",
        R,
        V,
        W,
    ),
    forge(
        "status_frame_blames_us",
        "reports its failure as a fault of the sandbox, to leave the denominator",
        FORGED_FRAMES
        + """
def solve(x):
    for fd in range(3, 256):
        try:
            os.write(fd, frames([["e", "sandbox_fault", "oops", 0.0, 0.0, 1]] * 3 + [["end"]]))
        except OSError:
            pass
    os._exit(0)
""",
        R,
        V,
        W,
    ),
    forge(
        "takes_arguments_ahead",
        "states something for this test at once, to be told the next one's arguments",
        FORGED_FRAMES
        + """
def solve(x):
    told = []
    for _ in range(2):
        os.write(3, frames([["v", 0, 0.0, 0.0, 1]]))
        told.append(os.read(3, 4096))
    os.write(3, frames([["v", 7 * x + 3, 0.0, 0.0, 1], ["end"]]))
    os._exit(0)
""",
        W,
        R,
        V,
    ),
    forge(
        "asks_for_arguments_with_half_a_frame",
        "writes the beginning of a frame and waits for the next arguments",
        FORGED_FRAMES
        + """
def solve(x):
    os.write(3, frames([["v", 7 * x + 3, 0.0, 0.0, 1]])[:-1])
    os.read(3, 4096)
""",
        T,
    ),
    forge(
        "closes_its_socket",
        "closes the way on which arguments come",
        "import os\ndef solve(x):\n    os.close(3)\n    return 7 * x\n",
        R,
        W,
    ),
    forge(
        "colliding_hashes_in_frames",
        "states a set of integers with one hash, to make the parent slow",
        FORGED_FRAMES
        + """
def solve(x):
    keys = [{"i": hex((2**61 - 1) * 2**40 * k)} for k in range(1, 60000)]
    for fd in range(3, 256):
        try:
            os.write(fd, frames([["v", {"s": keys}, 0.0, 0.0, 1]] * 3 + [["end"]]))
        except OSError:
            pass
    os._exit(0)
""",
        R,
        V,
        W,
        T,
    ),
]

PATCHING = [
    forge(
        "patched_builtins",
        "makes builtins agree with everything",
        """
import builtins
def solve(x):
    for name in ("all", "any", "isinstance", "bool", "issubclass", "callable", "hasattr"):
        setattr(builtins, name, lambda *a, **k: True)
    builtins.len = lambda *a: 3
    builtins.type = lambda *a: int
    builtins.sorted = builtins.list = builtins.tuple = lambda *a, **k: []
    return True
""",
        *DENIED,
    ),
    forge(
        "patched_exec_and_compile",
        "replaces exec, compile, open, print and __import__",
        """
import builtins
for name in ("exec", "compile", "open", "print", "__import__", "eval", "getattr", "setattr"):
    setattr(builtins, name, lambda *a, **k: 0)
def solve(x):
    return 0
""",
        *DENIED,
    ),
    forge(
        "cleared_builtins",
        "empties the builtins module",
        """
import builtins
def solve(x):
    vars(builtins).clear()
    return 0
""",
        *DENIED,
    ),
    forge(
        "patched_json",
        "makes json write another answer",
        """
import json
def solve(x):
    json.dumps = lambda *a, **k: '["v", "accepted", 0.0, 0.0, 1]'
    json.JSONEncoder.encode = lambda *a, **k: '["end"]'
    json.encoder.encode_basestring_ascii = json.encoder.c_make_encoder = None
    return object
""",
        *DENIED,
    ),
    forge(
        "patched_writing",
        "replaces os.write, struct and marshal",
        """
import marshal, os, struct
def solve(x):
    os.write = lambda fd, data: len(data)
    struct.pack = lambda *a: b""
    marshal.loads = lambda *a: (0,)
    os._exit = lambda code: None
    return 3
""",
        *DENIED,
    ),
    forge(
        "patched_modules",
        "finds the grader among the modules and replaces its functions",
        """
import sys
def solve(x):
    for name, module in list(sys.modules.items()):
        for key in ("values_match", "verify", "compare", "tree_of", "run", "_run_test", "describe"):
            if key in getattr(module, "__dict__", {}):
                setattr(module, key, lambda *a, **k: True)
    return 1
""",
        *DENIED,
    ),
    forge(
        "cleared_modules",
        "empties sys.modules",
        """
import sys
def solve(x):
    sys.modules.clear()
    return 0
""",
        *DENIED,
    ),
    forge(
        "closes_every_descriptor",
        "closes every descriptor, so that nothing can be said of it",
        """
import os
def solve(x):
    os.closerange(0, 256)
    return 0
""",
        *DENIED,
    ),
    forge(
        "swapped_descriptors",
        "puts a pipe in the place of every descriptor",
        """
import os
def solve(x):
    r, w = os.pipe()
    for fd in range(3, 64):
        os.dup2(w, fd)
    return 0
""",
        *DENIED,
        T,
    ),
    forge(
        "fake_project_modules",
        "puts modules of its own in place of the project's",
        """
import sys, types
names = "axiom_rl", "axiom_rl.verify", "axiom_rl.verify.compare", "axiom_rl.core.codec", "runner"
for name in names:
    module = sys.modules[name] = types.ModuleType(name)
    module.values_match = lambda *a, **k: True
    module.decode = module.loads = lambda *a, **k: 38
def solve(x):
    return None
""",
    ),
    forge(
        "patched_runner_code",
        "rewrites code and defaults of the functions that called it",
        """
import gc, sys
def solve(x):
    frame = sys._getframe(1)
    while frame:
        for function in gc.get_referrers(frame.f_code):
            if callable(function):
                try:
                    function.__defaults__ = None
                    function.__code__ = (lambda *a, **k: True).__code__
                except (AttributeError, TypeError, ValueError):
                    pass
        frame = frame.f_back
    return True
""",
        *DENIED,
    ),
    forge(
        "patched_integers",
        "overwrites the digits of small integers in memory",
        """
import ctypes
def solve(x):
    for n in range(-5, 257):
        ctypes.c_uint32.from_address(id(n) + 24).value = 0
    return 0
""",
        *DENIED,
        T,
    ),
    forge(
        "patched_arguments",
        "replaces the arguments in the caller, so that the question is another",
        """
import ctypes, sys
def solve(x):
    frame = sys._getframe(1)
    for name in list(frame.f_locals):
        frame.f_locals[name] = (0,)
    ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))
    return 3
""",
        *DENIED,
    ),
    forge(
        "trace_hook",
        "changes values in the frames of the grader from a trace function",
        """
import sys
def hook(frame, event, arg):
    for name in ("status", "passed", "value", "frame", "expected"):
        if name in frame.f_locals:
            frame.f_locals[name] = True
    return hook
sys.settrace(hook)
def solve(x):
    frame = sys._getframe()
    while frame:
        frame.f_trace = hook
        frame = frame.f_back
    return "accepted"
""",
        *DENIED,
    ),
    forge(
        "profile_hook",
        "raises from a profile function as soon as the grader looks",
        """
import sys, threading
def hook(frame, event, arg):
    if "solve" not in frame.f_code.co_name:
        raise SystemExit(0)
def solve(x):
    threading.setprofile(hook)
    sys.setprofile(hook)
    return "accepted"
""",
        *DENIED,
    ),
    forge(
        "audit_hook",
        "ends the process from an audit hook",
        """
import os, sys
def solve(x):
    sys.addaudithook(lambda event, args: os._exit(0) if event != "os._exit" else None)
    return "accepted"
""",
        *DENIED,
    ),
    forge(
        "excepthook_and_displayhook",
        "replaces the hooks for exceptions, display and unraisable errors",
        """
import os, sys, threading
def leave(*args):
    os._exit(0)
sys.excepthook = sys.displayhook = sys.unraisablehook = threading.excepthook = leave
def solve(x):
    raise ValueError("accepted")
""",
        R,
    ),
    forge(
        "at_exit",
        "forges when the interpreter ends",
        """
import atexit, os
atexit.register(lambda: print("accepted"))
atexit.register(os._exit, 0)
def solve(x):
    return 0
""",
    ),
    forge(
        "changed_import_system",
        "puts finders and hooks of its own first",
        """
import sys
class Finder:
    def find_spec(self, *args):
        raise SystemExit(0)
sys.meta_path.insert(0, Finder())
sys.path_hooks.insert(0, lambda path: Finder())
sys.path[:] = []
def solve(x):
    sys.modules.pop("json", None)
    return 0
""",
    ),
]

PEEKING = [
    forge(
        "expected_in_frames",
        "looks for the answer in every frame below it",
        """
import sys
def solve(x):
    frame = sys._getframe()
    found = []
    while frame:
        for space in (frame.f_locals, frame.f_globals):
            for name, value in list(space.items()):
                if "expect" in name or "answer" in name or "oracle" in name:
                    found.append(value)
        frame = frame.f_back
    return found[0] if found else None
""",
        *DENIED,
    ),
    forge(
        "expected_in_the_heap",
        "looks for the answer among all objects of the collector",
        """
import gc
def solve(x):
    for thing in gc.get_objects():
        if type(thing) is dict and "expected" in thing:
            return thing["expected"]
        if type(thing) is tuple and len(thing) == 2 and thing[0] == (x,):
            return thing[1]
        if type(thing).__name__ in ("TestCase", "Problem"):
            return getattr(thing, "expected", None)
    return None
""",
        *DENIED,
    ),
    forge(
        "expected_near_the_arguments",
        "follows the referrers of its argument to the answer beside it",
        """
import gc, sys
def solve(x):
    args = sys._getframe(1).f_locals.get("arguments")
    for holder in gc.get_referrers(args) if args else []:
        if type(holder) in (tuple, list):
            for item in holder:
                if type(item) is int and item != x:
                    return item
    return None
""",
        *DENIED,
    ),
    forge(
        "an_earlier_program_in_memory",
        "searches freed memory for the program of an earlier candidate and runs it",
        SEARCH
        + """
def solve(x):
    for text in pages():
        for match in re.finditer(b"LEFT" + rb"OVER ([ -~]+)", text):
            try:
                return eval(match.group(1), {"x": x})
            except Exception:
                pass
""",
        W,
        R,
        V,
        T,
    ),
    forge(
        "answers_from_the_source",
        "reads the tests of the project from its package",
        """
import importlib
def solve(x):
    for name in ("axiom_rl.problems", "axiom_rl.types", "axiom_rl.verify"):
        importlib.import_module(name)
    return importlib.import_module("axiom_rl.problems")
""",
        *DENIED,
    ),
]

LIARS = [
    forge(
        name,
        tries,
        code,
        *(statuses or (W,)),
    )
    for name, tries, code, *statuses in [
        (
            "lying_eq",
            "returns an object that equals everything",
            """
class Liar:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
def solve(x):
    return Liar()
""",
        ),
        (
            "lying_int",
            "returns an int whose comparisons and conversions lie",
            """
class Liar(int):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return hash(38)
    def __index__(self): return 38
    def __int__(self): return 38
    def __add__(self, other): return other
    def __repr__(self): return "38"
def solve(x):
    return Liar(0)
""",
        ),
        (
            "lying_float",
            "returns a float that says it is near everything",
            """
class Liar(float):
    def __eq__(self, other): return True
    def __sub__(self, other): return 0.0
    __rsub__ = __sub__
    def __float__(self): return 38.0
    def __abs__(self): return 0.0
def solve(x):
    return Liar("nan")
""",
        ),
        (
            "lying_str",
            "returns a str whose text depends on who asks",
            """
class Liar(str):
    def __eq__(self, other): return True
    __hash__ = str.__hash__
    def __str__(self): return '["v", 38]'
    def encode(self, *args): return b"38"
def solve(x):
    return Liar('", 38], ["end"]')
""",
        ),
        (
            "lying_iter_and_len",
            "returns a list that lies about its items and length",
            """
class Liar(list):
    def __iter__(self): return iter([38])
    def __len__(self): return 1
    def __getitem__(self, i): return 38
    def __eq__(self, other): return True
    def __contains__(self, item): return True
    def copy(self): return 38
def solve(x):
    return Liar([1, 2, 3])
""",
        ),
        (
            "lying_dict",
            "returns a dict whose items never end",
            """
class Liar(dict):
    def items(self):
        while True:
            yield "k", 38
    def __iter__(self):
        while True:
            yield "k"
    keys = values = items
    def __eq__(self, other): return True
def solve(x):
    return Liar(a=1)
""",
        ),
        (
            "lying_class",
            "returns an object that claims to be an int by __class__",
            """
class Liar:
    @property
    def __class__(self): return int
    def __eq__(self, other): return True
    def __int__(self): return 38
    __index__ = __int__
def solve(x):
    return Liar()
""",
        ),
        (
            "lying_reduce",
            "returns an object that runs code when it is unpickled or copied",
            """
import os
class Liar:
    def __reduce__(self): return (os._exit, (0,))
    def __reduce_ex__(self, protocol): return (os._exit, (0,))
    def __getstate__(self): return {"passed": True}
    def __copy__(self): return 38
    def __deepcopy__(self, memo): return 38
def solve(x):
    return Liar()
""",
        ),
        (
            "lying_metaclass",
            "returns a class whose metaclass answers for it",
            """
class Meta(type):
    def __eq__(cls, other): return True
    def __hash__(cls): return hash(int)
    def __instancecheck__(cls, thing): return True
    def __subclasscheck__(cls, thing): return True
    def __getattribute__(cls, name): return 38
    def mro(cls): return [cls, *type.mro(cls)[1:]]
class Liar(metaclass=Meta):
    pass
def solve(x):
    return Liar
""",
        ),
        (
            "instance_of_lying_metaclass",
            "returns an instance whose type lies about its bases and name",
            """
class Meta(type):
    __mro__ = property(lambda cls: (int, object))
    __name__ = property(lambda cls: "int")
    __module__ = "builtins"
    def __eq__(cls, other): return True
    def __hash__(cls): return hash(int)
class Liar(metaclass=Meta):
    def __eq__(self, other): return True
def solve(x):
    return Liar()
""",
        ),
        (
            "lying_descriptors",
            "returns an object whose attributes are computed and whose type is patched while read",
            """
class Descriptor:
    def __get__(self, thing, owner): raise SystemExit(0)
    def __set__(self, thing, value): raise SystemExit(0)
class Liar(list):
    __len__ = __iter__ = __class__ = __dict__ = __doc__ = Descriptor()
def solve(x):
    return Liar([38])
""",
        ),
        (
            "lying_getattribute",
            "returns an object that raises SystemExit at every look",
            """
class Liar(dict):
    def __getattribute__(self, name): raise SystemExit(0)
def solve(x):
    return Liar(a=1)
""",
        ),
        (
            "lying_numpy_scalar",
            "returns an object that looks like a numpy scalar",
            """
class Liar:
    __module__ = "numpy"
    dtype = "int64"
    ndim = 0
    def __init__(self): self.calls = 0
    def item(self):
        self.calls += 1
        return object() if self.calls == 1 else 38
    def tolist(self): return 38
def solve(x):
    return Liar()
""",
        ),
        (
            "mock_any",
            "returns unittest.mock.ANY",
            """
from unittest.mock import ANY
def solve(x):
    return ANY
""",
            W,
            R,
        ),
        (
            "weak_proxy",
            "returns a proxy of something that is gone",
            """
import weakref
class Thing: pass
def solve(x):
    return weakref.proxy(Thing())
""",
        ),
        (
            "not_a_number",
            "returns NaN, which no comparison decides",
            """
def solve(x):
    return float("nan")
""",
        ),
        (
            "not_implemented",
            "returns NotImplemented, so that == falls back to the other side",
            """
def solve(x):
    return NotImplemented
""",
        ),
        (
            "a_function",
            "returns the question itself",
            """
def solve(x):
    return solve
""",
        ),
        (
            "endless_generator",
            "returns a generator of all integers",
            """
import itertools
def solve(x):
    return (n for n in itertools.count())
""",
        ),
        (
            "a_coroutine",
            "returns a coroutine that nobody awaits",
            """
async def solve(x):
    return 7 * x + 3
""",
        ),
        (
            "patched_str_of_keys",
            "returns a dict with equal keys of lying classes",
            """
class Key(str):
    def __hash__(self): return id(self)
    def __eq__(self, other): return self is other
def solve(x):
    return {Key("a"): 1, Key("a"): 2}
""",
            W,
            V,
        ),
        (
            "no_function",
            "binds the entry point to something that cannot be called",
            "solve = 38\n",
            N,
        ),
        (
            "no_such_name",
            "defines everything but the entry point through __getattr__",
            """
def __getattr__(name):
    return lambda x: 7 * x + 3
""",
            N,
        ),
        (
            "answers_only_once",
            "answers the first test and leaves with success",
            """
import os
first = True
def solve(x):
    global first
    if not first:
        os._exit(0)
    first = False
    return 7 * x + 3
""",
            R,
        ),
        (
            "answers_then_exits_in_the_last_test",
            "answers all tests but the last and leaves with success",
            """
import os
calls = []
def solve(x):
    calls.append(x)
    if len(calls) == 3:
        os._exit(0)
    return 7 * x + 3
""",
            R,
        ),
        (
            "mutates_its_arguments",
            "remembers arguments and answers with what changes later",
            """
box = []
def solve(x):
    box.append(x)
    return box
""",
        ),
        (
            "lying_exception",
            "raises an exception whose text and name are a verdict",
            """
class accepted(Exception):
    def __str__(self): return 'passed"], ["end"]'
    __repr__ = __str__
def solve(x):
    raise accepted()
""",
            R,
        ),
        (
            "exception_without_text",
            "raises an exception whose text ends the process or never ends",
            """
class Odd(BaseException):
    def __str__(self): raise SystemExit(0)
    __repr__ = __str__
def solve(x):
    raise Odd(Odd)
""",
            R,
        ),
        (
            "exception_with_surrogates",
            "puts text into the detail that no file can hold",
            """
class Odd(Exception): pass
Odd.__name__ = "Odd\\ud800\\x00\\n\\x1b[2J"
def solve(x):
    raise Odd("\\udfff\\ud800\\x00\\u2028" * 100)
""",
            R,
        ),
        (
            "exception_group",
            "raises a group of ten thousand exceptions",
            """
def solve(x):
    raise ExceptionGroup("g" * 10000, [ValueError(i) for i in range(10000)])
""",
            R,
        ),
    ]
]

FORGING: list[Attack] = [*OUTPUT, *PATCHING, *PEEKING, *LIARS]
