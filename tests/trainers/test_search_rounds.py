"""Unsolved problems get search: hotter, with reasoning, by repair; blind, counted, resumable."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scripted_run import FIZZBUZZ, PALINDROME, REVERSE, Stage, Stopped, fenced
from test_expert_iter import numbers, solutions

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_jsonl
from axiom_rl.core.types import Completion, Problem, Status, TestCase, Verdict
from axiom_rl.gold.rows import sft_rows
from axiom_rl.gold.search_rounds import chains_to_repair, refenced
from axiom_rl.gold.store import read_solutions
from axiom_rl.problems import make_problem
from axiom_rl.problems.prompts import REASONED, show_call
from axiom_rl.problems.splits import read_problems
from axiom_rl.report.page import write_report
from axiom_rl.rollouts.records import Rollout
from axiom_rl.run.tracking import read_metrics
from axiom_rl.sampling import SampleRequest
from axiom_rl.search.execute import Executions
from axiom_rl.search.public import public_side
from axiom_rl.search.repair import messages

NEARLY = fenced("def fizzbuzz(n):\n    return [str(i) for i in range(1, n + 1)]")
ROUNDS = ("hot.samples=2", "reason.samples=2", "repair.samples=2")
EXPERT = (
    *(f"trainer.rounds.{each}" for each in ROUNDS),
    *("trainer.iterations=1", "trainer.max_retries=0", "trainer.args.num_train_epochs=1"),
    "trainer.args.warmup_steps=0",
)
COLLECT = ("stage=collect", "stage.max_attempts=4", *(f"stage.rounds.{each}" for each in ROUNDS))


def late(request: SampleRequest, sample: int) -> str:
    """reverse is known, the palindrome needs reasoning, fizzbuzz the sight of its failure."""
    name, stream = request.problem_id.partition("/")[0], request.stream
    if name == "reverse_string":
        return REVERSE
    if stream.endswith("_repair"):
        told = request.messages[-1]["content"]
        return FIZZBUZZ if "is wrong" in told and sample == 0 else NEARLY
    if name == "is_palindrome":
        return f"First I think. {PALINDROME}" if stream.endswith("_reason") else "I do not know."
    return NEARLY if sample else "No idea."


class Listening:
    """Keeps the requests of a stage, and the temperatures that they were drawn at."""

    def __init__(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        self.requests: list[SampleRequest] = []
        self.temperatures: dict[str, float | None] = {}
        from axiom_rl.sampling.scripted import ScriptedSampler

        real = ScriptedSampler.sample

        def sample(made: Any, requests: Any, *, temperature: float | None = None) -> Any:
            self.requests += requests
            self.temperatures |= {request.stream: temperature for request in requests}
            return real(made, requests, temperature=temperature)

        monkeypatch.setattr(ScriptedSampler, "sample", sample)


def asked(folder: Path, phase: str) -> dict[str, int]:
    """Return the samples of a phase by type."""
    counts: dict[str, int] = {}
    path = folder / "completions" / f"{phase}.jsonl"
    for row in read_jsonl(path) if path.exists() else ():
        name = row["problem_id"].partition("/")[0]
        counts[name] = counts.get(name, 0) + 1
    return counts


@pytest.mark.usefixtures("recwarn")
@pytest.mark.slow
def test_each_round_asks_what_is_unsolved_and_its_yield_is_told(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Listening(stage, monkeypatch)
    stage.script = late
    whole = stage.run(tmp_path / "whole", *EXPERT)
    assert asked(whole, "attempts_1_hot") == {"is_palindrome": 2, "fizzbuzz": 2}
    assert asked(whole, "attempts_1_reason") == {"is_palindrome": 2, "fizzbuzz": 2}
    assert asked(whole, "attempts_1_repair") == {"fizzbuzz": 2}
    assert heard.temperatures["0/attempts_1_hot"] == 1.3
    reasoned = [r for r in heard.requests if r.stream == "0/attempts_1_reason"]
    assert all(REASONED in request.messages[0]["content"] for request in reasoned)
    (row,) = read_metrics(whole, "collect")
    yields = {name: (r["problems"], r["samples"], r["solved"]) for name, r in row["rounds"].items()}
    assert yields == {
        "first": (3, 12, 1), "hot": (2, 4, 0), "reason": (2, 4, 1), "repair": (1, 2, 1),
    }  # fmt: skip
    assert row["unsolved"] == 0 and row["samples"] == 22
    gold = dict(solutions(whole, 1))
    assert {*gold} == {"reverse_string", "is_palindrome", "fizzbuzz"}
    write_report(whole)
    page = (whole / "report.md").read_text(encoding="utf-8")
    assert "| 1 | repair | 1 | 2 | 1 | 1 |" in page
    _trains_in_its_own_style(whole)

    drawn = sorted(stage.drawn)
    stage.drawn.clear()
    stage.stops = [
        *("draw 0/attempts_1_hot fizzbuzz 1", "draw 0/attempts_1_reason is_palindrome 1"),
        *("draw 0/attempts_1_repair fizzbuzz 0", "before collect/1 is recorded"),
    ]
    for _ in list(stage.stops):
        with pytest.raises(Stopped):
            stage.run(tmp_path / "stopped", *EXPERT)
    stopped = stage.run(tmp_path / "stopped", *EXPERT)
    assert numbers(stopped) == numbers(whole) and solutions(stopped, 1) == solutions(whole, 1)
    assert sorted(stage.drawn) == drawn, "a sample was lost or drawn twice"


def _trains_in_its_own_style(folder: Path) -> None:
    """What reasoning found is trained as a program that answers the run's own prompt."""
    problems = {p.id: p for p in read_problems(folder / "problems" / "train.jsonl")}
    gold = read_solutions(folder / "solutions" / "iter_1.jsonl")
    for row in sft_rows(gold, problems, "direct", "completion"):
        assert REASONED not in row["prompt"][0]["content"]
        assert row["completion"][0]["content"].startswith(("```python\n", "Here it is:\n```python"))
        assert "First I think" not in row["completion"][0]["content"]


@pytest.mark.usefixtures("recwarn")
def test_what_a_round_shows_is_public(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request holds a hidden test, and failing programs are chosen by public ones alone."""
    heard = Listening(stage, monkeypatch)
    stage.script = late
    folder = stage.run(tmp_path / "run", *COLLECT)
    problems = {p.id: p for p in read_problems(folder / "problems" / "train.jsonl")}
    assert {r.stream for r in heard.requests} == {
        "0/collect", "0/collect_hot", "0/collect_reason", "0/collect_repair",
    }  # fmt: skip
    for request in heard.requests:
        problem = problems[request.problem_id]
        public = {show_call(problem.entry_point, test) for test in problem.public_tests}
        secret = {show_call(problem.entry_point, test) for test in problem.hidden_tests} - public
        text = "\n".join(message["content"] for message in request.messages)
        assert secret and not [test for test in secret if test in text]


def rollout(problem: Problem, sample: int, code: str | None) -> Rollout:
    said = Completion(
        problem_id=problem.id, sample=sample, text=f"Thought {sample}. {code}", prompt_tokens=1,
        completion_tokens=3, truncated=True, token_ids=(1, 2, 3), logprobs=(0.0,) * 3,
    )  # fmt: skip
    verdict = Verdict(status=Status.WRONG_ANSWER, passed=False, pass_fraction=0.0, total_tests=1)
    return Rollout(completion=said, code=code, hidden=verdict, fresh=None)


@pytest.mark.usefixtures("recwarn")
def test_repair_begins_with_the_best_failing_programs(tmp_path: Path) -> None:
    from scripted_run import composed

    from axiom_rl.verify import Verifier

    problem = make_problem("reverse_string", difficulty=1, split="train", seed=0, index=0)
    tests = (TestCase(args=("ab",), expected="ba"), TestCase(args=("",), expected=""))
    problem = replace(problem, public_tests=tests)
    secret = replace(problem, hidden_tests=(TestCase(args=("x",), expected="nonsense"),))
    head = "def reverse_string(s):\n    "
    tried = [
        rollout(problem, 0, None),
        rollout(problem, 1, f"{head}return None"),  # passes none
        rollout(problem, 2, f"{head}return s"),  # passes one of two
        rollout(problem, 3, f"{head}return s[::-1]"),  # passes both: nothing to show
        rollout(problem, 4, f"{head}return s"),
    ]
    with Verifier(composed("sandbox=debug").sandbox) as verifier:
        executions = Executions(tmp_path / "executions.jsonl", verifier)
        public = public_side(problem)
        assert public == public_side(secret)
        chains = chains_to_repair(executions, public, tried, 4)
        again = chains_to_repair(executions, public_side(secret), tried, 4)
        assert chains == again
        assert chains_to_repair(executions, public, tried[3:4], 4) == []
        bare = replace(public, public_tests=())
        assert chains_to_repair(executions, bare, tried, 4) == []
    codes = [chain.steps[0].code for chain in chains]
    assert codes == [f"{head}return s", f"{head}return None", None, f"{head}return s"]
    assert [chain.sample for chain in chains] == [0, 1, 2, 3], "each its own random stream"
    assert messages(public, "direct", "x", "said") == messages(
        public_side(secret), "direct", "x", "said"
    )


def test_what_another_prompt_found_is_its_program_alone() -> None:
    problem = make_problem("reverse_string", difficulty=1, split="train", seed=0, index=0)
    item = refenced(rollout(problem, 0, "\ndef reverse_string(s):\n    return s\n"))
    assert item.completion.text == "```python\ndef reverse_string(s):\n    return s\n```"
    assert item.completion.token_ids == () and not item.completion.truncated
    none = rollout(problem, 0, None)
    assert refenced(none) == none


@pytest.mark.usefixtures("recwarn")
def test_a_collection_counts_its_rounds_and_goes_on_where_it_stopped(
    stage: Stage, tmp_path: Path
) -> None:
    stage.script = late
    whole = stage.run(tmp_path / "whole", *COLLECT)
    (row,) = read_metrics(whole, "collect")
    found = {name: (r["samples"], r["solved"]) for name, r in row["rounds"].items()}
    assert found == {"first": (12, 1), "hot": (4, 0), "reason": (4, 1), "repair": (2, 1)}
    assert (row["solutions"], row["total_solutions"], row["unsolved"]) == (3, 3, 0)
    assert row["duplicates"] == row["passed"] - 3
    stage.stops = ["draw 0/collect_reason fizzbuzz 1", "draw 0/collect_repair fizzbuzz 1"]
    for _ in list(stage.stops):
        with pytest.raises(Stopped):
            stage.run(tmp_path / "stopped", *COLLECT)
    stopped = stage.run(tmp_path / "stopped", *COLLECT)
    (again,) = read_metrics(stopped, "collect")
    assert {k: v for k, v in again.items() if k != "time"} == {
        k: v for k, v in row.items() if k != "time"
    }
    tokens = [next(iter(read_metrics(f, "timing")))["tokens"] for f in (whole, stopped)]
    assert tokens[0] == tokens[1] == sum(r["tokens"] for r in row["rounds"].values())
    names = [
        [item.solution_code for item in read_solutions(folder / "solutions" / "collected.jsonl")]
        for folder in (whole, stopped)
    ]
    assert names[0] == names[1] and len(names[0]) == 3


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("trainer.rounds.hot.how=guess", r"trainer\.rounds\.hot\.how=guess: must be one of again"),
        ("trainer.rounds.hot.samples=-1", r"trainer\.rounds\.hot\.samples=-1: must be 0 or more"),
        ("trainer.rounds.hot.temperature=-1", r"rounds\.hot\.temperature=-1.0: must be"),
        ("+trainer.rounds={x: {how: again, samples: 1}}", r"trainer\.rounds\.x\.temperature"),
        ("trainer.rounds.hot.sample=1", r"unknown key trainer\.rounds\.hot\.sample"),
        ("+trainer.rounds={A-b: {how: again, temperature: 1, samples: 1}}", "the name of a round"),
    ],
)
def test_impossible_rounds_are_refused_by_name(given: str, said: str) -> None:
    from scripted_run import composed

    with pytest.raises(AxiomError, match=said):
        composed(given)


def test_a_round_of_ones_own_comes_after_the_known_ones() -> None:
    from scripted_run import composed

    made: Any = composed("+trainer.rounds={hotter: {how: again, temperature: 1.6, samples: 4}}")
    assert [*made.trainer.rounds] == ["hot", "reason", "repair", "hotter"]
    assert made.trainer.rounds["hotter"].temperature == 1.6
    assert all(not each.samples for name, each in made.trainer.rounds.items() if name != "hotter")


@pytest.mark.usefixtures("recwarn")
def test_a_problem_is_solved_once_whatever_an_expert_leaves_open(
    stage: Stage, tmp_path: Path
) -> None:
    stage.script = late
    rounds = (*EXPERT[2:], "trainer.rounds.hot.samples=2", "trainer.expert=wrong")
    folder = stage.run(tmp_path / "run", *rounds)
    (row,) = read_metrics(folder, "collect")
    found = {name: (r["problems"], r["passed"], r["solved"]) for name, r in row["rounds"].items()}
    assert found["hot"][1] > 0, "samples of what is solved already pass again"
    assert (found["first"][2], found["hot"][2]) == (1, 0)
