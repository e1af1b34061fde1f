"""The exchange with a candidate: arguments there, records back, one test at a time.

The arguments of a test leave the server only once the record of the test before it is complete and
cannot be changed any more, so that no test tells anything to an earlier one. Until then they lie in
pages that a forked child does not get, and so do the records.
"""

from __future__ import annotations

import mmap
import select
import socket
import struct
from _socket import SocketType

LENGTH = struct.Struct("<I")
"""Before each test's arguments, and before each frame of a record."""
_AT_ONCE = socket.MSG_DONTWAIT
MOST_KEPT = 256 << 10
"""Bytes touched at most in pages that are kept."""


class UnsharedPages:
    """Pages that no forked child has, where the system can keep them from it (Linux).

    There they are kept for the next candidate; elsewhere they are new each time, and what must not
    reach a candidate is taken after the fork.
    """

    def __init__(self) -> None:
        self._kept: mmap.mmap | None = None

    def take(self, size: int) -> mmap.mmap:
        """Return pages of at least this many bytes, which hold whatever was in them."""
        pages, self._kept = self._kept, None
        if pages is not None and len(pages) >= size:
            return pages
        if pages is not None:
            pages.close()
        pages = mmap.mmap(-1, max(1, size))
        if hasattr(mmap, "MADV_DONTFORK"):
            pages.madvise(mmap.MADV_DONTFORK)
        return pages

    def give_back(self, pages: mmap.mmap, used: int) -> None:
        """Keep the pages, unless many of them are held by now: memory follows what was touched."""
        if hasattr(mmap, "MADV_DONTFORK") and used <= MOST_KEPT:
            self._kept = pages
        else:
            pages.close()


class Exchange:
    """Our end of a candidate's socket."""

    def __init__(
        self,
        ours: SocketType,
        arguments: mmap.mmap,
        size: int,
        pages: UnsharedPages,
        most: int,
        before: int = 0,
    ) -> None:
        """Send the first test's arguments ahead; needs no candidate yet.

        Args:
            ours: our end; the candidate writes frames to the other one and reads arguments from it.
            arguments: each test's, a length before it.
            size: bytes of them.
            pages: where the record's come from.
            most: bytes of the record that are taken.
            before: bytes kept free before the record, for a head.
        """
        self._socket = ours
        self._arguments = memoryview(arguments)
        self._size = size
        self._pages = pages
        self._most = before + most
        self._before = before
        self._sent = self._due = 0
        self._record: mmap.mmap | None = None
        self._view = memoryview(b"")
        self._whole = self._length = before
        """Where the complete frames end, and all that has come."""
        self.is_full = False
        self._ended = False
        """Whether its end is closed, so that nothing more can come."""
        self._hand_over()

    def fileno(self) -> int:
        """Return the descriptor to be watched."""
        return self._socket.fileno()

    @property
    def wanted(self) -> int:
        """The events to wait for."""
        return select.POLLIN | (select.POLLOUT if self._sent < self._due else 0)

    def serve(self, events: int) -> bool:
        """Take what has come and send what is due; False if nothing more can come."""
        if events & select.POLLOUT:
            self._send()
        return not events & ~select.POLLOUT or self.take()

    def take(self) -> bool:
        """Take what has come; False if nothing more can come."""
        if self._record is None:  # only now: a child forked before has no part in it
            self._record = self._pages.take(self._most)
            self._view = memoryview(self._record)
        while self._length < self._most:
            try:
                count = self._socket.recv_into(self._view[self._length :], 0, _AT_ONCE)
            except BlockingIOError:
                break
            except ConnectionResetError:  # it left without reading its arguments
                count = 0
            if not count:
                self._ended = True
                return False
            self._length += count
            if self._note_frames():
                break
        self.is_full = self._length >= self._most
        return not self.is_full

    def _note_frames(self) -> bool:
        """Hand over arguments for each frame completed; True if there was one.

        What comes after the last arguments need not be frames, and is only kept.
        """
        before = self._whole
        while self._due < self._size and self._length >= self._whole + LENGTH.size:
            end = self._whole + LENGTH.size + LENGTH.unpack_from(self._view, self._whole)[0]
            if end > self._most:  # not a frame: nobody reads on, and the runner ends
                self._socket.shutdown(socket.SHUT_RDWR)
            if end > self._length:
                break
            self._whole = end
            self._hand_over()
        return self._whole > before

    def _hand_over(self) -> None:
        """Release the next test's arguments, if there is one."""
        if self._due < self._size:
            self._due += LENGTH.size + LENGTH.unpack_from(self._arguments, self._due)[0]
            self._send()

    def _send(self) -> None:
        try:
            while self._sent < self._due:
                part = self._arguments[self._sent : self._due]
                self._sent += self._socket.send(part, _AT_ONCE)
        except BlockingIOError:
            pass  # its buffer is full: the rest goes when it has read some
        except (BrokenPipeError, ConnectionResetError):
            self._sent = self._due = self._size  # it reads no more

    def drain(self) -> None:
        """Take all that a candidate left that has ended."""
        before = -1
        while before != self._length and not self._ended:
            before = self._length
            self.take()

    @property
    def length(self) -> int:
        """Bytes of the record."""
        return self._length - self._before

    def with_head(self, head: bytes) -> memoryview:
        """Return the head and the record in one piece; to be released before `close`."""
        if self._record is None:
            return memoryview(head)
        self._record[: self._before] = head
        return self._view[: self._length]

    def close(self) -> None:
        """Unmap the record and close our end."""
        self._socket.close()
        self._arguments.release()
        self._view.release()
        if self._record is not None:
            self._pages.give_back(self._record, self._length)
