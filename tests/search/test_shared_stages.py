"""Stages that share samples by need or choose the selector on other problems, with scripts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from test_search_stages import EVALUATE, OWN, Likely, Runs, own, value

import axiom_rl.stages.opening
from axiom_rl.config import load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, read_jsonl, write_json, write_jsonl
from axiom_rl.evaluation.search.sharing.compared import shared_counts
from axiom_rl.evaluation.search.words import lines
from axiom_rl.problems.splits import read_splits
from axiom_rl.report.page import write_report
from axiom_rl.rollouts.records import read_rollouts
from axiom_rl.search import Sampled, execute, public_side
from axiom_rl.search.execute import FILE, Executions, gather
from axiom_rl.search.material import sampled
from axiom_rl.search.sharing.need import evidence

NEED = "search.allocation=need"
VAL = ("stage=evaluate", "stage.split=val", "problems.types=[reverse_string]", "sampler.n=4")
OF_VAL = ("problems.sizes.val=2", "problems.sizes.test=0", "problems.levels=[1,2]")


@pytest.fixture(scope="module")
def made(
    tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Runs, pytest.MonkeyPatch]]:
    with pytest.MonkeyPatch.context() as patch:
        run = Runs(tiny_model_folder, tmp_path_factory.mktemp("shared"))
        patch.setattr(axiom_rl.stages.opening, "write_report", lambda _folder: None)
        loader = lambda *_: lambda _a: Likely(run.say)  # noqa: E731
        patch.setattr(axiom_rl.stages.opening, "_sampler_loader", loader)
        run("test", *EVALUATE)
        run("val", *VAL, *OF_VAL)
        yield run, patch


@pytest.fixture
def run(made: tuple[Runs, pytest.MonkeyPatch], tmp_path: Path) -> Iterator[Runs]:
    """Runs in a folder of the test's own, with copies of the pools test and val."""
    shared, _patch = made
    for name in ("test", "val"):
        shutil.copytree(shared.folder / name, tmp_path / name)
    was, shared.folder = shared.folder, tmp_path
    shared.drawn.clear()
    yield shared
    shared.folder = was


def rows_of(folder: Path) -> dict[str, dict[str, Any]]:
    return {row["problem_id"]: row for row in read_jsonl(folder / "solved.jsonl")}


def asked(tmp_path: Path, *more: dict[str, Any]) -> tuple[str, ...]:
    where = own(tmp_path / "own.jsonl", [*OWN, *more])
    return ("stage=solve", *where, "search=vote", "sampler.n=8", NEED)


def test_solve_draws_where_it_is_needed(
    run: Runs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    folder = run("s", *asked(tmp_path))
    rows = rows_of(folder)
    counts = {key: row["samples"] for key, row in rows.items()}
    assert counts["bare"] == 8  # nothing tells: the even share
    assert counts["impossible"] > 8 > counts["reverse"]
    assert sum(counts.values()) == 24 == len(run.drawn) == len(set(run.drawn))
    for key, count in counts.items():
        assert sorted(n for _s, of, n in run.drawn if of == key) == list(range(count))
    assert rows["reverse"]["public_passed"] == 2 and rows["impossible"]["survivors"] == 0
    assert (
        f"shared by need: 24 samples, {counts['reverse']} to {counts['impossible']}" in caplog.text
    )
    even = rows_of(run("even", *asked(tmp_path)[:-1]))
    assert {row["samples"] for row in even.values()} == {8}
    again = run("s", *asked(tmp_path))
    assert rows_of(again) == rows and len(run.drawn) == 48
    write_report(folder)
    assert "| impossible | 0 of 1 |" in (folder / "report.md").read_text()


@pytest.mark.slow
def test_a_replay_shares_as_the_live_search_did(run: Runs, tmp_path: Path) -> None:
    live = rows_of(run("live", *asked(tmp_path)))
    folder = run("whole", *asked(tmp_path)[:-1], "sampler.n=32")
    splits = read_splits(folder / "problems")
    assert splits is not None
    problems = (*splits.train, *splits.val, *splits.test)
    samples: dict[str, list[Sampled]] = {problem.id: [] for problem in problems}
    for item in read_rollouts(folder / "completions" / "solve.jsonl"):
        samples[item.completion.problem_id].append(sampled(item.completion, item.code))
    nothing_runs: Any = SimpleNamespace(config=load_config("sandbox.servers=1").sandbox)
    materials = gather(
        Executions(folder / FILE, nothing_runs), [*map(public_side, problems)], samples,
        inputs=24, time_limit_s=1.0, seed=0,
    )  # fmt: skip
    known = {key: evidence(each) for key, each in materials.items()}
    in_order = {key: sorted(range(32), key=lambda n, k=key: samples[k][n].sample) for key in known}
    counts = shared_counts(known, in_order, dict.fromkeys(known, [1] * 32), 8, 32)
    assert counts == {key: row["samples"] for key, row in live.items()}


@pytest.mark.slow
def test_nonsense_in_the_place_of_tests_changes_no_share(run: Runs, tmp_path: Path) -> None:
    with_tests = OWN[0] | {"id": "tested", "tests": [{"args": ["xyz"], "expected": "zyx"}]}
    first = rows_of(run("t1", *asked(tmp_path, with_tests)))
    nonsense = with_tests | {"tests": [{"args": [["x"]], "expected": None}]}
    second = rows_of(run("t2", *asked(tmp_path, nonsense)))
    assert first == second and len(first) == 4


@pytest.mark.slow
def test_sharing_killed_in_a_round_goes_on_as_if_it_had_not_been(
    run: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = rows_of(run("whole", *asked(tmp_path)))
    drawn = list(run.drawn)
    run.drawn.clear()
    monkeypatch.setattr(execute, "TOGETHER", 1)
    wanted, say = {7, 13}, run.say

    def stop(request: Any, sample: int) -> str:
        if len(run.drawn) in wanted:  # amid the second round, and again in a later one
            wanted.discard(len(run.drawn))
            raise KeyboardInterrupt
        return say(request, sample)

    monkeypatch.setattr(run, "say", stop)
    for _time in range(2):
        with pytest.raises(KeyboardInterrupt):
            run("k", *asked(tmp_path))
    assert rows_of(run("k", *asked(tmp_path))) == whole
    assert sorted(run.drawn) == sorted(drawn) and not wanted


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("stage=evaluate", "search=vote", NEED), "pass rates over them would be wrong"),
        (("stage=collect", "stage.expert=vote", "search=vote", NEED), "pass rates over them"),
        (("trainer.expert=vote", "search=vote", NEED), "stage=search stage.pool="),
        (("stage=solve", "search=vote", NEED, "sampler.n=1"), "sampler.n=2 or more"),
        (("stage=solve", "search=vote", "search.allocation=odd"), "must be one of even, need"),
        (
            ("stage=solve", "search=vote", "search.stop_below=0.1"),
            "stop_below is of a value head",
        ),
        (("stage=search", "stage.pool=POOL", "stage.choose_on=nix"), "stage.choose_on=nix: there"),
        (("stage=search", "stage.pool=POOL", "stage.choose_on=POOL"), "2 of its problems are in"),
    ],
)
def test_what_cannot_be_shared_or_chosen_is_refused(
    run: Runs, tmp_path: Path, overrides: tuple[str, ...], message: str
) -> None:
    given = [each.replace("POOL", str(tmp_path / "test")) for each in overrides]
    with pytest.raises(AxiomError, match=message):
        run("x", *given)
    assert not run.drawn and not list(tmp_path.glob("x/*"))


def test_a_replay_compares_the_shares_and_looks_at_no_verdict(run: Runs, tmp_path: Path) -> None:
    pool = tmp_path / "test"

    def replayed(name: str) -> dict[str, Any]:
        return read_json(  # type: ignore[no-any-return]
            run(name, "stage=search", f"stage.pool={pool}", "search=vote", NEED)
            / "search"
            / "result.json"
        )

    first = replayed("r1")
    assert [row["samples"] for row in first["allocation"]["rows"]] == [2, 4]
    for row in first["allocation"]["rows"]:
        assert row["need"]["tokens"] <= row["even"]["tokens"]
        n = row["samples"]
        assert row["even"]["score"]["value"] == pytest.approx(value(first, "vote", n))
    assert any(line.startswith("shared by need (examples and votes), 2") for line in lines(first))
    write_report(tmp_path / "r1")
    assert "shared by need, replayed" in (tmp_path / "r1" / "report.md").read_text()
    path = pool / "completions" / "before.jsonl"
    rows = list(read_jsonl(path))
    for row in rows:
        row["fresh"] |= {"passed": not row["fresh"]["passed"], "pass_fraction": 0.0}
    write_jsonl(path, rows)
    for one, other in zip(
        first["allocation"]["rows"], replayed("r2")["allocation"]["rows"], strict=True
    ):
        assert {k: one["need"][k] for k in ("tokens", "drawn", "least", "most")} == {
            k: other["need"][k] for k in ("tokens", "drawn", "least", "most")
        }
    assert not run.drawn
    small = ("stage=search", f"stage.pool={tmp_path / 'small'}", "search=vote", NEED)
    run("small", *EVALUATE, "sampler.n=3")
    with pytest.raises(AxiomError, match="has 3 samples a problem"):
        run("r3", *small)


def test_the_selector_is_named_by_another_pool_before_the_scores(
    run: Runs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    pool, val = tmp_path / "test", tmp_path / "val"
    given = ("stage=search", f"stage.pool={pool}", f"stage.choose_on={val}")
    folder = run("r", *given)
    result = read_json(folder / "search" / "result.json")
    chosen = result["chosen_on"]
    assert (chosen["problems"], chosen["samples"], chosen["units"]) == (2, 4, 1)
    assert list(chosen["by_budget"]) == ["1", "2", "4", "8"]
    assert chosen["by_budget"]["1"]["selector"] == "logprob"  # equal scores: what asks for least
    there = chosen["by_budget"]["8"]
    assert there["samples"] == 4  # the val pool has no more
    said = [record.message for record in caplog.records]
    named = next(n for n, line in enumerate(said) if line.startswith("selectors chosen on"))
    scored = next(n for n, line in enumerate(said) if line.startswith("random "))
    assert named < scored and "at 4)" in said[named]
    row = next(line for line in lines(result) if line.startswith(there["selector"]))
    assert f"8: {100 * value(result, there['selector']):.1f} %*" in row
    alone = read_json(run("alone", *given[:2]) / "search" / "result.json")
    assert alone["chosen_on"] is None and alone["selectors"] == result["selectors"]
    write_report(folder)
    text = (folder / "report.md").read_text()
    assert r"marked with \* were chosen on" in text and rf"| {there['selector']}\* |" in text
    assert (val / "search" / "executions.jsonl").exists() and not run.drawn


@pytest.mark.slow
def test_the_verdicts_of_the_scored_pool_choose_nothing_and_those_of_the_other_do(
    run: Runs, tmp_path: Path
) -> None:
    given = (
        "stage=search", f"stage.pool={tmp_path / 'test'}", f"stage.choose_on={tmp_path / 'val'}",
    )  # fmt: skip

    def chosen(name: str) -> dict[str, Any]:
        document = read_json(run(name, *given) / "search" / "result.json")
        return document["chosen_on"]["by_budget"]  # type: ignore[no-any-return]

    def turn(name: str) -> None:
        path = tmp_path / name / "completions" / "before.jsonl"
        rows = list(read_jsonl(path))
        for row in rows:
            for kind in ("fresh", "hidden"):
                if row[kind] is not None:
                    row[kind] |= {"passed": row["sample"] == 0, "pass_fraction": 1.0}
        write_jsonl(path, rows)

    before = chosen("c1")
    turn("test")
    assert chosen("c2") == before
    turn("val")
    assert chosen("c3") != before


def test_samples_of_another_policy_choose_nothing(run: Runs, tmp_path: Path) -> None:
    given = (
        "stage=search", f"stage.pool={tmp_path / 'test'}", f"stage.choose_on={tmp_path / 'val'}",
    )  # fmt: skip
    environment = tmp_path / "val" / "environment.json"
    whole = read_json(environment)
    whole["sessions"][-1]["model"] |= {"sha256": "other"}
    write_json(environment, whole)
    with pytest.raises(AxiomError, match=r"of another weights than those of stage\.pool"):
        run("p", *given)
    shutil.rmtree(tmp_path / "val" / "completions")
    with pytest.raises(AxiomError, match=r"stage.choose_on=.*there is no completions"):
        run("p", *given)
    assert not list((tmp_path / "p").iterdir())
