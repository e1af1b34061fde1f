"""Files whole or not at all; JSON Lines that survive a kill, strange text and other programs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import (
    append_jsonl,
    read_json,
    read_jsonl,
    write_json,
    write_jsonl,
    write_text,
)

ROWS: list[dict[str, Any]] = [{"a": 1}, {"b": "two\nlines"}, {"c": None}]

STRANGE = "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\x00h\ud800i\r\nj\rk 日本 \U0001f600"
"""Line separators of str.splitlines, a lone surrogate, and text of more than one byte."""


def test_rows_come_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "rows.jsonl"
    write_jsonl(path, ROWS)
    assert list(read_jsonl(path)) == ROWS
    append_jsonl(path, [{"d": 4}])
    assert list(read_jsonl(path)) == [*ROWS, {"d": 4}]
    assert path.read_bytes().count(b"\n") == 4


def test_any_text_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, [{"text": STRANGE}])
    append_jsonl(path, [{"text": STRANGE}])
    assert list(read_jsonl(path)) == [{"text": STRANGE}] * 2
    write_json(tmp_path / "one.json", {"text": STRANGE})
    assert read_json(tmp_path / "one.json") == {"text": STRANGE}


@given(st.lists(st.text(st.characters(codec=None)), max_size=4))
def test_rows_are_lines_whatever_the_text(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    rows = [{"text": text} for text in texts]
    write_jsonl(path, rows)
    assert list(read_jsonl(path)) == rows


def test_a_file_cut_anywhere_loses_only_the_row_that_was_cut(tmp_path: Path) -> None:
    rows = [{"text": "é日本"}, {"n": [1, {"x": 2}]}, {"text": "}"}]
    whole = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    path = tmp_path / "rows.jsonl"
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        survivors = list(read_jsonl(path))
        lines = whole[:cut].count(b"\n")
        # A row that lacks nothing but its newline may be kept.
        assert survivors == rows[: len(survivors)] and len(survivors) - lines in (0, 1)
        append_jsonl(path, [{"new": 1}])
        assert list(read_jsonl(path)) == [*survivors, {"new": 1}], f"cut at {cut}"


def test_a_last_row_without_a_newline_counts(tmp_path: Path) -> None:
    path = tmp_path / "by_hand.jsonl"
    path.write_text('{"a": 1}\n\n{"b": 2}', encoding="utf-8")
    assert list(read_jsonl(path)) == [{"a": 1}, {"b": 2}]


def test_empty_and_missing_files(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.touch()
    assert list(read_jsonl(path)) == []
    append_jsonl(path, [])
    assert list(read_jsonl(path)) == []
    with pytest.raises(AxiomError, match=r"no such file.*none\.jsonl"):
        list(read_jsonl(tmp_path / "none.jsonl"))
    with pytest.raises(AxiomError, match=r"no such file.*none\.json"):
        read_json(tmp_path / "none.json")


@pytest.mark.parametrize(
    "bad", [b"{oops}", b"[1]", b"3", b'{"a": 1} {"b": 2}', b'"\xff\xfe"', b"[" * 100_000]
)
def test_a_damaged_line_is_named(tmp_path: Path, bad: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n' + bad + b'\n{"b": 2}\n')
    with pytest.raises(AxiomError, match=r"rows\.jsonl, line 2"):
        list(read_jsonl(path))


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(AxiomError, match=r"is a folder: give a file$"):
        read_json(tmp_path)
    (tmp_path / "traces.jsonl").touch()
    with pytest.raises(AxiomError, match=r"is a folder: give a file; in it are traces\.jsonl$"):
        list(read_jsonl(tmp_path))
    with pytest.raises(AxiomError, match="cannot write"):
        write_text(tmp_path, "text")
    with pytest.raises(AxiomError, match="cannot append"):
        append_jsonl(tmp_path, [{}])


def test_a_file_where_a_folder_must_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AxiomError, match="cannot write"):
        write_text(tmp_path / "file" / "x.txt", "text")
    with pytest.raises(AxiomError, match="cannot append"):
        append_jsonl(tmp_path / "file" / "x.jsonl", [{}])


def test_bad_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{", encoding="utf-8")
    with pytest.raises(AxiomError, match=r"x\.json is not valid JSON"):
        read_json(tmp_path / "x.json")


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    path = tmp_path / "x.txt"
    write_text(path, "old")

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync", full) if failing == "fsync" else (Path, "replace", full)))
    with pytest.raises(AxiomError, match="No space left on device"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


def test_ctrl_c_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_fd: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        write_text(tmp_path / "x.txt", "new")
    assert [*tmp_path.iterdir()] == []
