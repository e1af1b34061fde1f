"""Attacks on the talk between a candidate and its server, which hands arguments over one by one.

Out of order, cut short, flooded, from threads, after the end. And system calls next to those that
`kernel` tries, which a filter by list might have forgotten.
"""

from __future__ import annotations

from corpus.attack import Attack, R, T, V, W, escape, forge
from corpus.kernel import CALL

TALK = """
import fcntl, json, marshal, os, socket, struct, threading, time
def framed(*answers):
    texts = [json.dumps(answer).encode() for answer in answers]
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)
def guess(n): return ["v", n, 0.0, 0.0, 1]
def solve(x):
"""


def _talk(name: str, tries: str, body: str, *statuses: object) -> Attack:
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    return forge(name, tries, TALK + lines, *statuses)


DIALOGUE = [
    _talk(
        "answers_all_ahead_by_guess",
        "answers every test before it has read the second one's arguments, then computes them",
        """
os.write(3, framed(guess(0), guess(0), guess(0)))
seen = [marshal.loads(os.read(3, 4096)[4:])[0] for _ in range(1)]
os.write(3, framed(*[guess(7 * x + 3) for x in seen], ["end"]))
os._exit(0)
""",
        *(R, T, V, W),
    ),
    _talk(
        "thread_goes_on_after_its_answer",
        "lets a thread write a second answer while the runner reads the next arguments",
        """
def later():
    for _ in range(50):
        time.sleep(0.001)
        try: os.write(3, framed(guess(7 * x + 3)))
        except OSError: return
threading.Thread(target=later, daemon=True).start()
return 0
""",
        *(R, T, V, W),
    ),
    _talk(
        "thread_steals_the_next_arguments",
        "lets a thread read the next arguments before the runner does",
        """
def steal():
    got = os.read(3, 65536)
    os.write(3, framed(guess(7 * marshal.loads(got[4:])[0] + 3)))
threading.Thread(target=steal, daemon=True).start()
return 0
""",
        *(R, T, V, W),
    ),
    _talk("half_a_length", "writes one byte of a length", "os.write(3, b'\\xff')", T, V, W, R),
    _talk(
        "a_length_of_two_gigabytes",
        "announces two gigabytes and asks for the next arguments",
        "os.write(3, b'\\xff\\xff\\xff\\x7f')\ntime.sleep(0.01)",
        *(T, V, W, R),
    ),
    _talk(
        "empty_frames_for_every_test",
        "completes every test by an empty frame",
        "os.write(3, bytes(4) * 3 + framed(['end']))\nos._exit(0)",
        V,
        W,
    ),
    _talk(
        "closes_its_end",
        "closes its end of the socket and goes on",
        "os.close(3)\ntime.sleep(0.01)",
        *(R, V, W),
    ),
    *(
        _talk(
            f"shuts_down_{word}",
            f"ends one direction of the socket ({word}) before it answers",
            f"socket.socket(fileno=3).shutdown({how})",
            *(R, V, W),
        )
        for word, how in [("reading", 0), ("writing", 1), ("both", 2)]
    ),
    _talk(
        "a_socket_of_its_own_as_the_record",
        "puts a socket of its own in the record's place",
        """
a, b = socket.socketpair()
os.dup2(a.fileno(), 3)
b.send(struct.pack("<I", 6) + marshal.dumps((x,)))
""",
        *(R, T, V, W),
    ),
    _talk(
        "record_that_never_waits",
        "makes its end of the socket one that never waits",
        "fcntl.fcntl(3, fcntl.F_SETFL, os.O_NONBLOCK)",
        *(R, V, W),
    ),
    _talk(
        "answers_right_and_says_end_twice",
        "states what it cannot know, ends, and writes more behind the end",
        """
os.write(3, framed(guess(0), guess(0), guess(0), ["end"], guess(38), ["end"]))
os._exit(0)
""",
        V,
        W,
    ),
    _talk(
        "fraction_by_zero",
        "states a fraction whose lower part is zero",
        "os.write(3, framed(['v', {'q': [1, 0]}, 0.0, 0.0, 1]) * 3 + framed(['end']))\nos._exit(0)",
        V,
        W,
    ),
    _talk(
        "number_of_half_a_megabyte",
        "states an integer of half a million digits as plain JSON",
        """
text = b'["v",' + b"9" * 500000 + b",0.0,0.0,1]"
os.write(3, struct.pack("<I", len(text)) + text)
os._exit(0)
""",
        *(R, V, W),
    ),
]

CALLS = [
    escape(
        name,
        f"makes the system call {name}",
        f"{CALL}\ndef solve(c):\n    room = ctypes.create_string_buffer(1024)\n"
        f"    return reached(call({x86}, {arm}, {arguments}))\n",
    )
    for name, x86, arm, arguments in [
        ("landlock_create_ruleset", 444, 444, "0, 0, 1"),
        ("landlock_restrict_self", 446, 446, "3, 0"),
        ("process_mrelease", 448, 448, "3, 0"),
        ("cachestat", 451, 451, "1, room, room, 0"),
        ("statmount", 457, 457, "room, room, 100, 0"),
        ("lsm_list_modules", 461, 461, "room, room, 0"),
        ("mbind", 237, 235, "0, 0, 0, 0, 0, 0"),
        ("move_pages", 279, 239, "0, 0, 0, 0, 0, 0"),
        ("sched_setattr", 314, 274, "0, room, 0"),
        ("tee", 276, 77, "3, 1, 1, 0"),
        ("sendfile", 40, 71, "1, 0, 0, 1"),
        ("copy_file_range", 326, 285, "0, 0, 1, 0, 1, 0"),
        ("fallocate", 285, 47, "1, 0, 0, 1 << 40"),
        ("ftruncate", 77, 46, "1, 1 << 40"),
        ("remap_file_pages", 216, 234, "0, 0, 0, 0, 0"),
        ("recvmmsg", 299, 243, "3, room, 1, 64, 0"),
        ("sendmmsg", 307, 269, "3, room, 1, 0"),
        ("recvmsg", 47, 212, "3, room, 64"),
        ("personality", 135, 92, "0x40000"),
        ("setpgid", 109, 154, "0, 0"),
        ("setsid", 112, 157, "0"),
        ("get_robust_list", 274, 100, "0, room, room"),
    ]
]

DIALOGUES: list[Attack] = [*DIALOGUE, *CALLS]
