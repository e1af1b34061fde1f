"""Attacks on the kernel's memory, which no limit of a process counts.

Descriptor tables of one's own, buffers, queues and lists: each takes as much as it can get.
"""

from __future__ import annotations

from corpus.attack import DENIED, Attack, M, T, escape
from corpus.kernel import CALL


def _hold(name: str, tries: str, body: str) -> Attack:
    """Return `escaped` if more could be had than any honest program needs."""
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    return escape(
        name, tries, f"{CALL}\nimport signal, socket, time\ndef solve(c):\n{lines}", *DENIED, M, T
    )


HOARDING: list[Attack] = [
    _hold(
        "own_descriptor_table",
        "takes a descriptor table of its own, to fill many",
        "return done(call(436, 436, 60, 99, 2))",
    ),
    _hold(
        "own_descriptor_table_closed",
        "takes a descriptor table of its own and closes it",
        "return done(call(436, 436, 3, 99, 6))",
    ),
    _hold("unshared_descriptors", "unshares its descriptors", "return done(call(272, 97, 0x400))"),
    _hold("unshared_folder", "unshares its working folder", "return done(call(272, 97, 0x200))"),
    _hold(
        "unshared_semaphores",
        "unshares its semaphore adjustments",
        "return done(call(272, 97, 0x40000))",
    ),
    _hold(
        "thread_with_own_descriptors",
        "starts a thread with a descriptor table of its own",
        "return done(call(56, 220, 0x3d0b00, 0, 0, 0, 0))",
    ),
    _hold(
        "thread_with_own_handle",
        "starts a thread with a handle on it",
        "return done(call(56, 220, 0x3d1f00, 0, 0, 0, 0))",
    ),
    _hold(
        "process_in_our_memory",
        "starts a process that shares its memory",
        "return done(call(56, 220, 0x100 | 17, 0, 0, 0, 0))",
    ),
    _hold(
        "sibling",
        "starts a process beside itself",
        "return done(call(56, 220, 0x8000 | 17, 0, 0, 0, 0))",
    ),
    *(
        _hold(name, tries, f"return done(call({x86}, {arm}, {', '.join(map(str, args))}))")
        for name, tries, x86, arm, *args in [
            ("timer_descriptor", "makes a timer with a descriptor", 283, 85, 1, 0),
            (
                "signal_descriptor",
                "makes a descriptor of signals",
                289,
                74,
                -1,
                "ctypes.create_string_buffer(4096)",
                8,
                0,
            ),
            ("watch_files", "makes a watcher of files", 294, 26, 0),
            (
                "memory_file",
                "makes a memory file",
                319,
                279,
                "ctypes.create_string_buffer(4096)",
                0,
            ),
            ("guest_memory", "makes memory of a guest", 447, 447, 0),
            (
                "asynchronous_io",
                "makes a queue of asynchronous reads",
                206,
                0,
                100,
                "ctypes.create_string_buffer(4096)",
            ),
            ("protection_key", "takes a protection key", 330, 289, 0, 0),
            (
                "futex_vector",
                "waits for many futexes by a call of its own",
                449,
                449,
                "ctypes.create_string_buffer(4096)",
                1,
                0,
                0,
                0,
            ),
            (
                "sealed_memory",
                "seals its memory",
                462,
                462,
                "ctypes.create_string_buffer(4096)",
                0,
                0,
            ),
            ("shadow_stack", "maps a shadow stack", 453, 453, 0, 4096, 0),
            (
                "list_mounts",
                "lists the mounts",
                458,
                458,
                "ctypes.create_string_buffer(4096)",
                "ctypes.create_string_buffer(4096)",
                10,
                0,
            ),
            ("splice", "moves pages between pipes", 275, 76, 0, 0, 1, 0, 10, 0),
            (
                "gift_pages",
                "gives its pages to a pipe",
                278,
                75,
                1,
                "ctypes.create_string_buffer(4096)",
                1,
                8,
            ),
            (
                "send_descriptors",
                "sends descriptors, which are then in no table",
                46,
                211,
                1,
                "ctypes.create_string_buffer(4096)",
                0,
            ),
            (
                "socket_option",
                "enlarges a socket's buffer",
                54,
                208,
                0,
                1,
                7,
                "ctypes.create_string_buffer(4096)",
                4,
            ),
            (
                "packet_filter",
                "puts a packet filter on a socket",
                54,
                208,
                0,
                1,
                26,
                "ctypes.create_string_buffer(4096)",
                16,
            ),
            (
                "lock_memory",
                "locks its memory",
                149,
                228,
                "ctypes.create_string_buffer(4096)",
                4096,
            ),
            ("lock_all_memory", "locks all of its memory", 151, 230, 3),
            ("memory_policy", "moves its memory between nodes", 238, 237, 0, 0, 0),
        ]
    ),
    _hold(
        "pipe_size",
        "enlarges its pipes",
        """
r, w = os.pipe()
return done(call(72, 25, w, 1031, 1 << 20))
""",
    ),
    _hold(
        "many_timers",
        "makes timers without end, each in the kernel's memory",
        """
timer, made = ctypes.c_int(), 0
while made < 5000 and call(222, 107, 1, 0, ctypes.byref(timer)) == 0: made += 1
return "escaped" if made > 1000 else made
""",
    ),
    _hold(
        "many_queued_signals",
        "queues signals that it blocks",
        """
signal.pthread_sigmask(signal.SIG_BLOCK, [40])
sent = 0
while sent < 5000 and call(234, 131, os.getpid(), os.getpid(), 40) == 0: sent += 1
return "escaped" if sent > 1000 else sent
""",
    ),
    _hold(
        "many_watches",
        "registers every descriptor with every list of events",
        """
import select
lists, held = [], 0
try:
    while True: lists.append(select.epoll())
except OSError:
    pass
for each in lists:
    for fd in range(64):
        try: each.register(fd)
        except (OSError, ValueError): continue
        held += 1
return "escaped" if held > 64 * 64 else held
""",
    ),
    _hold(
        "many_event_counters",
        "makes event counters without end",
        """
held = 0
try:
    while held < 5000: os.eventfd(0); held += 1
except OSError:
    return held
return "escaped"
""",
    ),
    _hold(
        "full_socket_pairs",
        "fills the buffers of as many socket pairs as it can hold",
        """
pairs, total = [], 0
try:
    while True: pairs.append(socket.socketpair())
except OSError:
    pass
for pair in pairs:
    for end in pair:
        end.setblocking(False)
        try:
            while True: total += end.send(b"x" * 65536)
        except OSError:
            pass
return "escaped" if total > 256 << 20 else total
""",
    ),
]
