"""A server for one's own browser: the pages and text files below outputs/, read-only.

It listens on 127.0.0.1 alone and answers GET and HEAD. What it defends against:

- **Other folders.** A path is decoded once and refused if a part of it is empty, `.`, `..`, hidden,
  or holds a slash, a backslash or a control character. What is left is resolved and must lie below
  the folder, so links out of it lead nowhere; it is then opened part by part without following
  links, so that one put there in between does not help.
- **Other sites.** A page elsewhere that points its own name at 127.0.0.1 (DNS rebinding) is told
  apart by the Host header; others may not frame, embed or read what is sent.
- **What is shown.** Pages of ours are HTML whose only script is ours, by its hash. Everything else
  is plain text or a picture, weights and unknown files are not sent at all.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote_from_bytes, unquote_to_bytes

from axiom_rl.core.errors import AxiomError
from axiom_rl.report.blocks import Cell, Link, Page, Section, Table, harmless
from axiom_rl.report.policy import SCRIPT, source
from axiom_rl.report.render import to_html
from axiom_rl.report.watch.listing import PAGES, runs_page

log = logging.getLogger(__name__)

HERE = "127.0.0.1"
HOSTS = (HERE, "localhost")
"""Names in a Host header; any port, since a tunnel may have another one."""
TEXTS = (".md", ".txt", ".json", ".jsonl", ".yaml", ".log")
IDLE_S = 30
"""Seconds after which a connection that says nothing is closed."""
COPIED = 1 << 16
"""Bytes of a file that are read in one go."""
HTML = "text/html; charset=utf-8"
POLICIES = {
    HTML: (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src {source(SCRIPT)}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}
PLAIN_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Served:
    """What a request gets."""

    status: HTTPStatus
    kind: str
    body: BinaryIO
    length: int
    headers: dict[str, str] = field(default_factory=dict)


def serve(root: Path, port: int) -> None:
    """Serve a folder until Ctrl-C or SIGTERM.

    Args:
        root: outputs/; it may not be there yet.
        port: to listen on; 0 for any that is free.

    Raises:
        AxiomError: if the port cannot be had.
    """
    try:
        server = WatchServer(root, port)
    except OSError as error:
        raise AxiomError(
            f"stage.port={port}: {error.strerror or error}; give another port, or stage.port=0 for "
            "any that is free"
        ) from None
    with server:
        log.info("runs of %s: http://%s:%d/ (Ctrl-C ends it)", root, HERE, server.server_port)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever(poll_interval=0.2)
    log.info("ended; runs go on")


class WatchServer(ThreadingHTTPServer):
    """One thread a request; none of them keeps the program from ending."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, root: Path, port: int) -> None:
        """Listen on 127.0.0.1.

        Raises:
            OSError: if the port cannot be had.
        """
        self.root = root
        super().__init__((HERE, port), _Request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Note what went wrong with one request; a browser that went away is nothing."""
        log.debug("a request failed", exc_info=True)


class _Request(BaseHTTPRequestHandler):
    server: WatchServer
    server_version = "axiom-rl"
    sys_version = ""
    timeout = IDLE_S

    def do_GET(self) -> None:
        self._send(self._reply())

    def do_HEAD(self) -> None:
        self._send(self._reply())

    def _refuse(self) -> None:
        refusal = _text(HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD")
        refusal.headers["Allow"] = "GET, HEAD"
        self.close_connection = True
        self._send(refusal)

    do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_TRACE = do_CONNECT = _refuse

    def _reply(self) -> Served:
        if not is_ours(self.headers.get_all("Host") or []):
            return _text(HTTPStatus.FORBIDDEN, f"open http://{HERE}:{self.server.server_port}/")
        try:
            return reply(self.server.root, self.path)
        except Exception:  # the list of a folder that changes under it, say
            log.debug("why", exc_info=True)
            return _text(HTTPStatus.INTERNAL_SERVER_ERROR, "this page could not be made; try again")

    def _send(self, found: Served) -> None:
        with found.body as body:
            self.send_response(found.status)
            self.send_header("Content-Type", found.kind)
            self.send_header("Content-Length", str(found.length))
            self.send_header("Content-Security-Policy", POLICIES.get(found.kind, PLAIN_POLICY))
            for name, value in (HEADERS | found.headers).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                left = found.length
                while data := body.read(min(left, COPIED)):  # no more than was promised: files grow
                    self.wfile.write(data)
                    left -= len(data)

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)


def is_ours(hosts: Sequence[str]) -> bool:
    """Whether a request means this machine: one Host header with one of its names."""
    return len(hosts) == 1 and re.sub(r":\d{1,5}\Z", "", hosts[0].strip().lower()) in HOSTS


def parts_of(target: str) -> list[str] | None:
    """Return the parts of the path that a request names; None for one that is refused.

    Args:
        target: as it stands in the request, percent-encoded. A last '/' makes the last part ''.
    """
    path = re.split(r"[?#]", target, maxsplit=1)[0]
    if not path.startswith("/"):
        return None
    parts = [os.fsdecode(unquote_to_bytes(part)) for part in path[1:].split("/")]
    whole = parts[:-1] if parts[-1] == "" else parts
    refused = any(
        not part or part.startswith(".") or re.search(r"[/\\\x00-\x1f\x7f]", part) for part in whole
    )
    return None if refused else parts


def reply(root: Path, target: str) -> Served:
    """Return the answer to a GET: the list, the files of a folder, or a file."""
    parts = parts_of(target)
    if parts is None:
        return _missing()
    if parts == [""]:
        return _html(runs_page(root))
    folder = parts[-1] == ""
    names = parts[:-1] if folder else parts
    opened = _open(root, names)
    if opened is None:
        return _missing()
    there = os.fstat(opened)
    if stat.S_ISDIR(there.st_mode):
        with _closing(opened):
            return _html(_files_page(names, opened)) if folder else _with_slash(names)
    kind = _kind(names[-1])
    if folder or not stat.S_ISREG(there.st_mode) or not kind:
        os.close(opened)
        return _missing()
    return Served(HTTPStatus.OK, kind, os.fdopen(opened, "rb"), there.st_size)


def _open(root: Path, names: Sequence[str]) -> int | None:
    """Open what lies below `root` under these names, links inside it allowed; None where nothing.

    The resolved path has no links: each part is opened without following one, beside the last.
    """
    try:
        top = root.resolve(strict=True)
        inside = top.joinpath(*names).resolve(strict=True).relative_to(top)
        opened = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
        for part in inside.parts:
            with _closing(opened):
                # Not to wait for the other end of a pipe that somebody put there.
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
                opened = os.open(part, flags, dir_fd=opened)
    except (OSError, ValueError, RuntimeError):  # RuntimeError: links in a circle, before 3.13
        return None
    return opened


@contextlib.contextmanager
def _closing(number: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(number)


def _kind(name: str) -> str:
    """Return the content type of a file that is sent; '' for others."""
    if name in PAGES:
        return HTML
    if name.endswith(".png"):
        return "image/png"
    return "text/plain; charset=utf-8" if name.endswith(TEXTS) else ""


def _files_page(names: Sequence[str], opened: int) -> Page:
    rows: list[list[Cell]] = []
    with os.scandir(opened) as entries:
        for entry in sorted(entries, key=lambda e: (not e.is_dir(follow_symlinks=False), e.name)):
            if entry.name.startswith(".") or entry.is_symlink():
                continue
            if entry.is_dir(follow_symlinks=False):
                rows.append([Link(f"{entry.name}/", f"./{_quoted(entry.name)}/"), ""])
            elif _kind(entry.name):
                size = f"{entry.stat(follow_symlinks=False).st_size:,}"
                rows.append([Link(entry.name, f"./{_quoted(entry.name)}"), size])
    back: list[list[Cell]] = [[Link("all runs", "./" + "../" * len(names)), ""]]
    table = Table(["file", "bytes"], [*back, *rows])
    title = harmless("/".join(names))
    return Page(title, f"Files of {names[-1]}", "", "", [Section("Files", [table])])


def _with_slash(names: Sequence[str]) -> Served:
    """Send the browser to the folder itself, for its links are relative to it."""
    place = "".join(f"/{_quoted(name)}" for name in names)
    moved = _text(HTTPStatus.MOVED_PERMANENTLY, "a folder")
    moved.headers["Location"] = f"{place}/"
    return moved


def _quoted(name: str) -> str:
    return quote_from_bytes(os.fsencode(name), safe="")


def _html(page: Page) -> Served:
    body = to_html(page).encode("utf-8", errors="backslashreplace")
    return Served(HTTPStatus.OK, HTML, BytesIO(body), len(body))


def _missing() -> Served:
    return _text(HTTPStatus.NOT_FOUND, "no such page")


def _text(status: HTTPStatus, text: str) -> Served:
    body = f"{text}\n".encode()
    return Served(status, "text/plain; charset=utf-8", BytesIO(body), len(body))
