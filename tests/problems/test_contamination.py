"""Overlaps of training problems with a benchmark are found by text, program and behaviour."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from axiom_rl.config import load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.problems import make_problem, problem_types
from axiom_rl.problems.show import describe_problems
from axiom_rl.problems.sources.benchmarks import load_benchmark
from axiom_rl.problems.sources.contamination import Overlap, find_overlaps

FIBONACCI = {
    "task_id": 701,
    "text": "Write a function for the n-th number of the sequence of rabbits.",
    "code": "def rabbits(k):\n    return k if k < 2 else rabbits(k - 1) + rabbits(k - 2)",
    "test_list": ["assert rabbits(10) == 55", "assert rabbits(1) == 1", "assert rabbits(8) == 21"],
}
SAME_WORDS = {
    "task_id": 702,
    "text": "The square of the largest sum of a contiguous, non-empty part of the list.",
    "code": "def f(xs):\n    return max(xs) ** 2",
    "test_list": ["assert f([2, 1]) == 4", "assert f([3]) == 9"],
}
SAME_PROGRAM = {
    "task_id": 703,
    "text": "Compute a thing.",
    "code": (
        "def thing(values):\n    most = values[0]\n    for i in range(len(values)):\n"
        "        s = 5\n        for v in values[i:]:\n            s += v\n"
        "            most = max(most, s)\n    return most"
    ),
    "test_list": ["assert thing([1, 2]) == 8", "assert thing([3]) == 8.5 or True"],
}
TOO_LARGE = {
    "task_id": 704,
    "text": "Queens on a very large board.",
    "code": "def many(n):\n    return n",
    "test_list": ["assert many(100000) == 100000", "assert many(99999999) == 99999999"],
}
TRUE_TO_ITSELF = {
    "task_id": 705,
    "text": "Leave it.",
    "code": "def same(s):\n    return s",
    "test_list": ["assert same('abc') == 'abc'", "assert same('x(') == 'x('"],
}


def write(path: Path, *rows: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_each_sign_finds_its_overlap_and_nothing_else(tmp_path: Path) -> None:
    rows = (FIBONACCI, SAME_WORDS, SAME_PROGRAM, TOO_LARGE, TRUE_TO_ITSELF)
    benchmark = load_benchmark("mbpp", write(tmp_path / "mbpp.jsonl", *rows))
    names = problem_types()["basic"] + problem_types()["hard"] + problem_types()["easy"]
    problems = [make_problem(name, difficulty=level) for name in names for level in (1, 4)]
    overlaps = find_overlaps(problems, benchmark)
    assert set(overlaps) == {
        Overlap("fibonacci", "MBPP/701", "behaviour"),
        Overlap("max_subarray", "MBPP/702", "text"),
        Overlap("max_subarray", "MBPP/703", "program"),
    }


def test_the_list_stage_reports_overlaps(tmp_path: Path) -> None:
    path = write(tmp_path / "mbpp.jsonl", FIBONACCI)
    config = load_config("problems.check=true", f"problems.check_files=[{path}]").problems
    text = describe_problems(config)
    assert "1 overlaps with 1 benchmark tasks:" in text
    assert "fibonacci" in text.splitlines()[-1]
    assert "MBPP/701" in text.splitlines()[-1]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    config = load_config("problems.check=true", f"problems.check_files=[{tmp_path}/no.jsonl]")
    with pytest.raises(AxiomError, match=r"check_files.*no\.jsonl"):
        describe_problems(config.problems)
