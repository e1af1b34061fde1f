"""Started before a wrapper such as bubblewrap: gives it plain signals, and reaps what it leaves.

bubblewrap ends before its own child does, which then nobody may ever reap where process 1 of a
container is not made for it. This process adopts what is left, and ends when nothing is.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

DIE_WITH_PARENT, ADOPT_ORPHANS = 1, 36


def main() -> None:
    """Run the command in the arguments; end with its status when all that it started has ended."""
    libc = ctypes.CDLL(None)
    libc.prctl(DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    libc.prctl(ADOPT_ORPHANS, 1, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    command = os.fork()
    if command == 0:
        try:
            os.execv(sys.argv[1], sys.argv[1:])
        finally:
            os._exit(127)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # the channel, whose end must show
    status = 0
    while True:
        try:
            ended, how = os.wait()
        except ChildProcessError:
            break
        if ended == command:
            status = min(255, abs(os.waitstatus_to_exitcode(how)))
    os._exit(status)


if __name__ == "__main__":
    main()
