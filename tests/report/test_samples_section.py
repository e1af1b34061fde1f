"""The sample browser, the check of claimed passes and the changes from the defaults."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from fake_run import make_run, verdict, verdict_row, write_phase
from omegaconf import OmegaConf

from axiom_rl.config import load_config
from axiom_rl.context.run_context import RunContext
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_jsonl, write_json, write_jsonl
from axiom_rl.core.types import Completion, Status
from axiom_rl.evaluation.power import plan_for, write_plan
from axiom_rl.evaluation.recheck import Claims, read_claims, recheck_claims
from axiom_rl.problems import make_problem, with_fresh_tests
from axiom_rl.problems.prompts import show_call
from axiom_rl.problems.splits import Splits, write_problems
from axiom_rl.report.page import write_report
from axiom_rl.report.sections.samples import _pick
from axiom_rl.rollouts.records import Rollout, rollout_row
from axiom_rl.run.folder import Run
from axiom_rl.run.tracking import Tracker
from axiom_rl.verify import Verifier

SCENE: Any = RunContext(
    run=None, splits=None, verifier=None, load_sampler=None, sampler=None, style="direct",
    seed=0, fresh_seed=0, model={},
)  # type: ignore[arg-type]  # fmt: skip
"""What judging again does not use is absent."""


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """Two samples of a real problem, of which one fails its ninth fresh test."""
    problem = make_problem("fizzbuzz", difficulty=1)
    write_problems(tmp_path / "problems" / "train.jsonl", [problem])
    config = asdict(load_config("seed=4"))
    (tmp_path / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(config)))
    completions = [
        Completion(
            problem_id=problem.id, sample=i, text=f"```python\npass  # {i}\n```",
            prompt_tokens=1, completion_tokens=9, truncated=False,
        )
        for i in range(2)
    ]  # fmt: skip
    statuses = (Status.ACCEPTED, Status.WRONG_ANSWER)
    write_phase(tmp_path, "before", completions, [verdict(status) for status in statuses])
    return tmp_path


def section(run: Path, title: str) -> str:
    write_report(run)
    text = (run / "report.md").read_text(encoding="utf-8")
    return text.split(f"## {title}\n")[1].split("\n## ")[0]


def page(run: Path) -> str:
    write_report(run)
    return (run / "report.html").read_text(encoding="utf-8")


def test_the_prompt_and_the_first_failing_test_are_shown(real: Path) -> None:
    problem = make_problem("fizzbuzz", difficulty=1)
    failed = with_fresh_tests(problem, seed=0).fresh_tests[8]
    text = page(real).replace("&#39;", "'").replace("&#34;", '"')
    assert "Write one Python function `def fizzbuzz(n):`" in text
    assert f"first failing fresh test: {show_call('fizzbuzz', failed)}"[:300] in text
    assert "returned [1, 2]" in text


def test_a_test_that_cannot_be_made_again_is_named_by_its_number(real: Path) -> None:
    path = real / "completions" / "before.jsonl"
    rows = list(read_jsonl(path))
    rows[1]["fresh"]["failed_test"] = 4000
    write_jsonl(path, rows)
    assert "first failing fresh test: number 4001" in page(real)


def test_rows_of_older_runs_have_no_failed_test(real: Path) -> None:
    path = real / "completions" / "before.jsonl"
    rows: list[dict[str, Any]] = list(read_jsonl(path))
    for row in rows:
        del row["fresh"]["failed_test"]
    write_jsonl(path, rows)
    text = page(real)
    assert "first failing" not in text and "returned [1, 2]" in text


def test_every_phase_is_shown_and_a_passing_sample_of_each() -> None:
    good, bad = verdict_row(verdict(Status.ACCEPTED)), verdict_row(verdict(Status.TIME_LIMIT))
    phases = {
        name: [{"phase": name, "fresh": bad}] * failing + [{"phase": name, "fresh": good}] * 3
        for name, failing in (("before", 8), ("iter_1", 1), ("attempts_1", 60))
    }
    picked = _pick(phases, limit=12)
    assert len(picked) == 12
    passed = [(row["phase"], row["fresh"]["passed"]) for row in picked]
    assert passed.count(("before", False)) == 3 and passed.count(("before", True)) == 1
    assert passed.count(("iter_1", False)) == 1 and passed.count(("iter_1", True)) == 3
    assert passed.count(("attempts_1", True)) == 1


def test_problems_of_the_headline_come_before_those_of_other_families(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    other = make_problem("arithmetic", difficulty=1)
    completion = Completion(
        problem_id=other.id, sample=0, text="", prompt_tokens=1, completion_tokens=1,
        truncated=False,
    )  # fmt: skip
    write_phase(run, "forgetting_easy_before", [completion], [verdict(Status.ACCEPTED)])
    text = page(run)
    assert text.index("Two Sum (two_sum/") < text.index("arithmetic/d1/train/s0/0: 1 of 1 pass")


def test_lines_of_a_diff_are_told_apart(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    path = run / "completions" / "iter_1.jsonl"
    write_jsonl(path, [row | {"code": row["code"] + "# shorter\n"} for row in read_jsonl(path)])
    text = page(run)
    assert '<span class="added">+# shorter</span>' in text
    assert '<span class="removed">---' in text


def test_claimed_passes_that_fail_fresh_tests_are_counted(real: Path) -> None:
    path = real / "completions" / "before.jsonl"
    rows = list(read_jsonl(path))
    for row in rows:
        row["hidden"] = verdict_row(verdict(Status.ACCEPTED))
    write_jsonl(path, rows)
    write_report(real)
    text = (real / "report.md").read_text()
    assert "2 samples that pass the hidden tests were judged again by fresh ones; 1 of" in text
    assert "| before | 2 | 2 | 1 | 50.0 % (9.5 to 90.5 %) |" in text


def test_rollouts_are_judged_again_after_training_each_program_once(tmp_path: Path) -> None:
    problem = make_problem("fizzbuzz", difficulty=1)
    loop = "[('Fizz' * (i % 3 < 1) + 'Buzz' * (i % 5 < 1)) or str(i) for i in range(1, n + 1)]"
    right = f"def fizzbuzz(n):\n    return {loop}"
    learnt = {test.args[0]: test.expected for test in problem.hidden_tests}
    by_heart = f"def fizzbuzz(n):\n    return {learnt!r}[n]"
    passed = verdict(Status.ACCEPTED)
    rows = [
        Rollout(
            completion=Completion(
                problem_id=problem.id, sample=i, text="", prompt_tokens=1, completion_tokens=1,
                truncated=False,
            ),
            code=code, hidden=passed, fresh=None,
        )
        for i, code in enumerate([right, by_heart, by_heart, by_heart, right])
    ]  # fmt: skip
    write_jsonl(tmp_path / "completions" / "grpo.jsonl", [rollout_row(r, "grpo", 1) for r in rows])
    with Verifier(load_config("sandbox=debug").sandbox) as verifier:
        context = replace(SCENE, verifier=verifier, run=Run(tmp_path, Tracker(tmp_path), []),
                        splits=Splits(train=(problem,), val=(), test=()))  # fmt: skip
        recheck_claims(context)
    found = read_claims(tmp_path)["grpo"]
    assert found == Claims(claimed=5, checked=5, programs=2, failed=3)
    recheck_claims(replace(SCENE, run=context.run))  # the second time, there is nothing to do
    write_report(tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "| grpo | 5 | 5 | 3 | 60.0 % (" in text
    (tmp_path / "claims.json").write_text('{"schema": 1, "phases": {"grpo": {}}}')
    with pytest.raises(AxiomError, match=r"claims\.json is not as this program writes it"):
        read_claims(tmp_path)


def test_the_plan_stands_beside_what_came_out(real: Path) -> None:
    problem = make_problem("fizzbuzz", difficulty=1)
    write_plan(real, plan_for(Splits(train=(problem,), val=(), test=()), samples=8))
    run = make_run(real)
    write_report(run)
    text = (run / "report.md").read_text()
    assert "Stated before the run: a change of the pass rate by less than about" in text
    assert "In numbers: 1 train problem with 8 samples each find a difference of" in text


@pytest.mark.slow
def test_what_was_typed_is_shown_of_each_start(real: Path) -> None:
    assert "Changes from the defaults" not in page(real), "folders of older versions"
    first = {"started": "1 June", "options": {"problems": "hard"}, "overrides": []}
    write_json(real / "environment.json", {"schema": 2, "sessions": [first]})
    text = section(real, "Changes from the defaults")
    assert "Options: problems hard." in text and "Nothing was typed" in text
    first["overrides"] = ["problems=hard", "+trainer.args.max_steps=4", "model.name='a=b'"]
    again = {"started": "2 June", "options": {}, "overrides": ["tracking=wandb"]}
    write_json(real / "environment.json", {"schema": 2, "sessions": [{}, first, again]})
    text = section(real, "Changes from the defaults")
    for row in ("1 June | problems | hard", "1 June | +trainer.args.max_steps | 4",
                "1 June | model.name | 'a=b'", "2 June | tracking | wandb"):  # fmt: skip
        assert f"| {row} |" in text


def test_overfit_gaps_of_every_evaluation_are_in_the_curves(real: Path) -> None:
    rows = [
        {"phase": "evaluate", "iteration": i, "split": "train", "accuracy": 0.5, "overfit_gap": gap}
        for i, gap in ((0, 0.25), (1, None), (2, 0.125))
    ]
    (real / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_report(real)
    text = (real / "report.md").read_text()
    assert "| iteration | split | pass rate | 95 % interval | solved | overfit gap |" in text
    assert "| 2 | train | 50.0 % | not known to not known | ? of ? | 12.5 % |" in text
