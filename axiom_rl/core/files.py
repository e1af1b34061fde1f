"""Files written whole or not at all, and JSON Lines that survive a torn last line."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from axiom_rl.core.errors import AxiomError


def cache_dir() -> Path:
    """Folder of this project's cache: AXIOM_RL_CACHE, else under XDG_CACHE_HOME or ~/.cache."""
    if own := os.environ.get("AXIOM_RL_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "axiom-rl"


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FULL_TEXTS = (
    "No space left",
    "Disk quota exceeded",
    "File too large",
    "PytorchStreamWriter failed",
    "unexpected pos ",
)
"""What libraries that write with C++ or Rust say of a full disk; the last two are torch's."""
GIVE_ANOTHER = "give one that can be, with hydra.run.dir="
FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)


def disk_trouble(error: BaseException | None) -> str:
    """Say what is wrong with the disk if that is what an error comes from; '' if it is not.

    Libraries that write with C++ or Rust (torch, safetensors) raise errors of their own for it.
    """
    seen: set[int] = set()
    named = re.match(r"cannot (?:write|append to) (.+?): ", str(error))
    place = named[1] if named else ""  # the system does not tell it for a write into an open file
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError) and error.filename and not place:
            place = str(error.filename)
        where = f" ({place})" if place else ""
        number = error.errno if isinstance(error, OSError) else None
        text = str(error)
        if number in FULL or any(said in text for said in FULL_TEXTS):
            return f"the disk is full{where}: free some space, e.g. checkpoints/ of old runs"
        if number in FORBIDDEN or "Read-only file system" in text:
            cached = bool(place) and Path(place).is_relative_to(cache_dir())
            how = "set AXIOM_RL_CACHE to one that can be" if cached else GIVE_ANOTHER
            return f"the folder cannot be written{where}: {how}, or make it writable"
        error = error.__cause__ or error.__context__
    return ""


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically: a temporary neighbour, fsync, rename.

    Raises:
        AxiomError: if the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise AxiomError(
            f"cannot write {path}: {error.strerror}; what was there before is intact"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_json(path: Path, value: Any) -> None:
    """Write one JSON document atomically, indented for reading."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Read one JSON document.

    Raises:
        AxiomError: if the file is missing, cannot be read or is not JSON.
    """
    try:
        return json.loads(_read(path))
    except ValueError as error:
        raise AxiomError(f"{path} is not valid JSON: {error}") from None


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write a whole JSON Lines file atomically."""
    write_text(path, "".join(_line(row) for row in rows))


def append_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Append rows to a JSON Lines file; a torn last line is cut off first.

    Raises:
        AxiomError: if the disk is full; every earlier row is intact.
    """
    text = "".join(_line(row) for row in rows)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _end_last_line(path)
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise AxiomError(
            f"cannot append to {path}: {error.strerror}; earlier rows are intact"
        ) from error


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a JSON Lines file; a torn last line is left out.

    A last line without its newline is torn unless it is a whole JSON object: files that other
    programs wrote may end so.

    Raises:
        AxiomError: if the file cannot be read, or naming the line that is not a JSON object.
    """
    lines = _read(path).split(b"\n")
    if not _is_whole(lines[-1]):
        lines.pop()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise AxiomError(f"{path}, line {number}: not valid JSON: {error}") from None
        if not isinstance(row, dict):
            raise AxiomError(f"{path}, line {number}: expected a JSON object")
        yield row


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise AxiomError(f"no such file: {path}") from None
    except IsADirectoryError:
        inside = ", ".join(sorted(each.name for each in path.glob("*.jsonl")))
        hint = f"; in it are {inside}" if inside else ""
        raise AxiomError(f"{path} is a folder: give a file{hint}") from None
    except OSError as error:
        raise AxiomError(f"cannot read {path}: {error.strerror}") from error


def _is_whole(line: bytes) -> bool:
    """Whether a line is a whole JSON object; no part of one, cut anywhere, is."""
    try:
        return isinstance(json.loads(line.decode("utf-8")), dict)
    except (ValueError, RecursionError):
        return False


def _line(row: dict[str, Any]) -> str:
    """ASCII, since a program's text may hold line separators and lone surrogates."""
    return json.dumps(row) + "\n"


def _end_last_line(path: Path) -> None:
    """Cut off a torn last line, or end a whole one that lacks its newline."""
    if not path.exists() or path.stat().st_size == 0:
        return
    with path.open("rb+") as file:
        file.seek(-1, os.SEEK_END)
        if file.read(1) == b"\n":
            return
        file.seek(0)
        data = file.read()
        start = data.rfind(b"\n") + 1
        if _is_whole(data[start:]):
            file.write(b"\n")
        else:
            file.truncate(start)
