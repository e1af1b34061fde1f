"""The examples of the manual are whole: each one is written to a file and run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from axiom_rl.config import CONF_DIR, load_config

ROOT = CONF_DIR.parent


def write_examples(page: str, folder: Path) -> list[str]:
    """Write the titled code blocks of a page as files; return their names."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.findall(
        r'^```\w+ title="([\w.-]+)"\n(.*?)^```$', text, flags=re.DOTALL | re.MULTILINE
    )
    for name, content in found:
        (folder / name).write_text(content, encoding="utf-8")
    return [name for name, _content in found]


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{folder}:{ROOT}"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_problems_of_your_own(tmp_path: Path) -> None:
    assert write_examples("guides/own_problems.md", tmp_path) == ["mine.jsonl", "my_problems.py"]
    mine = ["stage=list", "problems=jsonl", "problems.path=mine.jsonl"]
    own = ["stage=list", "problems=own", "problems.imports=[my_problems]"]
    commands = (mine, [*mine, "stage.show=last"],
                own, [*own, "stage.show=alternating_sum/d1/train/s0/0"])  # fmt: skip
    code = "import sys; from axiom_rl.cli import main; sys.exit(max(map(main, {})))"
    said = run(tmp_path, "-c", code.format(commands))
    for text in ("2 train problems", "last([1, 2]) == 2", "alternating_sum ",
                 "alternating_sum([5, 2, 1]) == 4"):  # fmt: skip
        assert text in said


def test_a_reward_of_your_own(tmp_path: Path) -> None:
    assert write_examples("guides/own_reward.md", tmp_path) == ["my_reward.py"]
    code = """
import my_reward
from axiom_rl.rewards import get
from axiom_rl.types import Status, Verdict
cautious, short = get("cautious"), get("short")
for status in Status:
    print(status, cautious(Verdict(status=status, passed=status == "accepted", pass_fraction=0.5,
                                   total_tests=2)))
print(short(problem=None, tokens=range(50), verdict=Verdict(status=Status.ACCEPTED, passed=True,
                                                            pass_fraction=1.0)))
"""
    lines = run(tmp_path, "-c", code).splitlines()
    assert "accepted 1.0" in lines and "time_limit -0.5" in lines
    assert "wrong_answer 0.05" in lines and lines[-1] == "0.5"


def test_a_model_of_your_own(tmp_path: Path) -> None:
    """The file is an option of conf/model, from a folder of the reader's own."""
    (tmp_path / "conf" / "model").mkdir(parents=True)
    assert write_examples("guides/own_model.md", tmp_path / "conf" / "model") == ["my-coder.yaml"]
    config = load_config(f"hydra.searchpath=[file://{tmp_path}/conf]", "model=my-coder")
    assert (config.model.name, config.model.path) == ("MyCoder-1B", "/models/MyCoder")


def test_a_sampler_of_your_own(tmp_path: Path) -> None:
    assert write_examples("guides/own_sampler.md", tmp_path) == ["my_sampler.py", "judge_it.py"]
    said = run(tmp_path, "judge_it.py").splitlines()
    assert [line for line in said if line[:2] in ("0 ", "1 ")] == [
        "0 wrong_answer",
        "1 wrong_answer",
    ]


def test_the_verifier_alone(tmp_path: Path) -> None:
    assert write_examples("concepts/verifier.md", tmp_path) == ["alone.py"]
    assert "accepted 1.0 " in run(tmp_path, "alone.py")


def test_a_selector_of_your_own(tmp_path: Path) -> None:
    assert write_examples("guides/search.md", tmp_path) == ["mine.jsonl", "my_selectors.py"]
    code = """
import my_selectors
from axiom_rl.problems.sources.jsonl import read_user_problems
from axiom_rl.search.registry import get
print(get("shortest").name, read_user_problems("mine.jsonl", tested=False).problems[0].public_tests)
"""
    assert "shortest (TestCase(args=(2,), expected=4)" in run(tmp_path, "-c", code)
