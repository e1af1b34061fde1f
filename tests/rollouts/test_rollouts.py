"""Drawing and judging: once per sample, kept through a kill, in an order of its own."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from axiom_rl.config import load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_jsonl, write_jsonl
from axiom_rl.core.types import Completion, Status
from axiom_rl.problems import make_problem
from axiom_rl.rollouts.draw import Drawn, draw_rollouts
from axiom_rl.rollouts.judge import JudgedBy, task_for
from axiom_rl.rollouts.records import Rollout, read_rollouts
from axiom_rl.sampling import Sampler, SampleRequest
from axiom_rl.sampling.scripted import ScriptedSampler
from axiom_rl.verify import Verifier

RIGHT = "```python\ndef reverse_string(s):\n    return s[::-1]\n```"
TEXTS = (
    RIGHT,
    "```python\ndef reverse_string(s):\n    return s\n```",
    "I do not know.",
    "```python\ndef reverse_string(s):\n    raise ValueError('\\ud800 \\u2028')\n```",
)
STATUSES = (Status.ACCEPTED, Status.WRONG_ANSWER, Status.NO_CODE, Status.RUNTIME_ERROR)


class Counting(Verifier):
    """A verifier that counts what it judges."""

    judged = 0

    def submit(self, candidate, **options):  # type: ignore[no-untyped-def]
        self.judged += 1
        return super().submit(candidate, **options)


@pytest.fixture
def verifier(recwarn: pytest.WarningsRecorder) -> Iterator[Counting]:
    with Counting(load_config("sandbox=debug").sandbox) as made:
        yield made


@pytest.fixture(scope="module")
def tasks() -> list[JudgedBy]:
    made = [
        make_problem("reverse_string", difficulty=level, split=split, seed=0, index=0)
        for level, split in ((1, "train"), (2, "test"))
    ]
    return [task_for(problem, seed=0) for problem in made]


def answer(request: SampleRequest, sample: int) -> str:
    return TEXTS[sample % len(TEXTS)]


def draw(
    path: Path,
    tasks: list[JudgedBy],
    verifier: Verifier,
    sampler: Callable[[], Sampler],
    samples: range = range(8),
) -> Drawn:
    return draw_rollouts(
        path,
        tasks,
        samples,
        sampler=sampler,
        verifier=verifier,
        style="direct",
        stream="0/before",
        iteration=0,
    )


def refuse() -> Sampler:
    raise AssertionError("there was nothing left to draw")


def bare(rollouts: tuple[Rollout, ...]) -> list[Rollout]:
    """Rollouts as they come back from disk: verdicts without cases and times."""

    def strip(item: Rollout) -> Rollout:
        def short(verdict):  # type: ignore[no-untyped-def]
            return verdict and replace(verdict, cases=(), cpu_s=0.0, wall_s=0.0, peak_memory_mb=0.0)

        return replace(item, hidden=short(item.hidden), fresh=short(item.fresh))

    return [strip(item) for item in rollouts]


def test_samples_are_judged_by_the_tests_that_their_split_asks_for(
    tmp_path: Path, tasks: list[JudgedBy], verifier: Counting
) -> None:
    drawn = draw(tmp_path / "before.jsonl", tasks, verifier, lambda: ScriptedSampler(answer))
    assert [item.completion.sample for item in drawn.rollouts] == [*range(8), *range(8)]
    train, test = drawn.rollouts[:8], drawn.rollouts[8:]
    assert tuple(item.hidden and item.hidden.status for item in train) == STATUSES * 2
    assert tuple(item.fresh and item.fresh.status for item in (*train, *test)) == STATUSES * 4
    assert [item.hidden for item in test] == [None] * 8, "hidden tests are for training"
    assert verifier.judged == 24
    assert train[2].code is None and "s[::-1]" in str(train[0].code)
    assert drawn.tokens == sum(len(answer(None, i).split()) for i in range(8)) * 2  # type: ignore[arg-type]
    assert drawn.seconds >= drawn.verify_seconds >= 0


def test_a_claimed_pass_alone_is_judged_again_by_fresh_tests(
    tmp_path: Path, tasks: list[JudgedBy], verifier: Counting
) -> None:
    again = [replace(tasks[0], recheck=True)]
    drawn = draw(tmp_path / "a.jsonl", again, verifier, lambda: ScriptedSampler(answer))
    assert tuple(item.hidden and item.hidden.status for item in drawn.rollouts) == STATUSES * 2
    assert [item.fresh is not None for item in drawn.rollouts] == [True, False, False, False] * 2
    assert verifier.judged == 8 + 2
    assert read_rollouts(tmp_path / "a.jsonl")[0].fresh == bare(drawn.rollouts)[0].fresh


def test_what_is_on_disk_is_neither_drawn_nor_judged_again(
    tmp_path: Path, tasks: list[JudgedBy], verifier: Counting
) -> None:
    path = tmp_path / "before.jsonl"
    first = draw(path, tasks, verifier, lambda: ScriptedSampler(answer), range(3))
    judged = verifier.judged
    again = draw(path, tasks, verifier, refuse, range(3))
    assert list(again.rollouts) == bare(first.rollouts)
    assert (again.tokens, verifier.judged) == (0, judged)
    asked: list[tuple[str, int]] = []

    def note(request: SampleRequest, sample: int) -> str:
        asked.append((request.problem_id, sample))
        return answer(request, sample)

    more = draw(path, tasks, verifier, lambda: ScriptedSampler(note))
    assert asked == [(task.problem.id, sample) for task in tasks for sample in range(3, 8)]
    assert len(more.rollouts) == len(read_rollouts(path)) == 16


def test_verdicts_come_back_from_disk(
    tmp_path: Path, tasks: list[JudgedBy], verifier: Counting
) -> None:
    path = tmp_path / "deep" / "before.jsonl"
    drawn = draw(path, tasks, verifier, lambda: ScriptedSampler(answer))
    assert read_rollouts(path) == bare(drawn.rollouts)
    for row, item in zip(read_jsonl(path), drawn.rollouts, strict=True):
        assert row["phase"] == "before" and row["iteration"] == 0 and row["schema"] == 1
        if item.hidden:
            assert row["hidden"]["passed_tests"] == item.hidden.passed_tests
            assert row["hidden"]["total_tests"] == len(tasks[0].problem.hidden_tests)
            failed = [case.index for case in item.hidden.cases if not case.passed]
            assert row["hidden"]["failed_test"] == (failed[0] if failed else None)
    assert read_rollouts(tmp_path / "none.jsonl") == []


def test_a_torn_last_line_costs_that_sample_alone(
    tmp_path: Path, tasks: list[JudgedBy], verifier: Counting
) -> None:
    path = tmp_path / "before.jsonl"
    whole = draw(path, tasks, verifier, lambda: ScriptedSampler(answer))
    path.write_bytes(path.read_bytes()[:-40])
    assert len(read_rollouts(path)) == 15
    judged = verifier.judged
    again = draw(path, tasks, verifier, lambda: ScriptedSampler(answer))
    assert verifier.judged == judged + 1, "a sample of the test split, with one set of tests"
    assert bare(again.rollouts) == bare(whole.rollouts)
    assert len(read_rollouts(path)) == 16


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_finishing_does_not_matter(
    tmp_path: Path, tasks: list[JudgedBy], verifier: Counting, seed: int
) -> None:
    class Shuffled(ScriptedSampler):
        def sample(self, requests, *, temperature=None):  # type: ignore[no-untyped-def]
            items = list(super().sample(requests))
            random.Random(seed).shuffle(items)
            return iter(items)

    straight = draw(tmp_path / "a.jsonl", tasks, verifier, lambda: ScriptedSampler(answer))
    mixed = draw(tmp_path / "b.jsonl", tasks, verifier, lambda: Shuffled(answer))
    assert bare(mixed.rollouts) == bare(straight.rollouts)


@pytest.mark.parametrize("stop", [0, 1, 7, 8, 11, 15])
def test_ctrl_c_keeps_what_was_judged(
    tmp_path: Path, tasks: list[JudgedBy], verifier: Counting, stop: int
) -> None:
    asked: list[tuple[str, int]] = []

    def interrupted(request: SampleRequest, sample: int) -> str:
        if len(asked) == stop:
            asked.append(("stopped", stop))
            raise KeyboardInterrupt
        asked.append((request.problem_id, sample))
        return answer(request, sample)

    path = tmp_path / "before.jsonl"
    with pytest.raises(KeyboardInterrupt):
        draw(path, tasks, verifier, lambda: ScriptedSampler(interrupted))
    assert len(read_rollouts(path)) == stop
    draw(path, tasks, verifier, lambda: ScriptedSampler(interrupted))
    assert len(asked) == len(set(asked)) == 17


def test_strange_text_survives_the_file(
    tmp_path: Path, tasks: list[JudgedBy], verifier: Counting
) -> None:
    strange = "a\u2028b\x85c\x0bd\ud800e\x00f\r\n" + RIGHT
    path = tmp_path / "before.jsonl"
    draw(path, tasks, verifier, lambda: ScriptedSampler(lambda *_: strange), range(1))
    back = read_rollouts(path)
    assert [item.completion.text for item in back] == [strange] * 2
    assert all(item.fresh and item.fresh.passed for item in back)


def test_a_completion_of_no_task_is_an_error(
    tmp_path: Path, tasks: list[JudgedBy], verifier: Counting
) -> None:
    class Confused(ScriptedSampler):
        def sample(self, requests, *, temperature=None):  # type: ignore[no-untyped-def]
            yield Completion(
                problem_id="other",
                sample=0,
                text=RIGHT,
                prompt_tokens=1,
                completion_tokens=1,
                truncated=False,
            )

    with pytest.raises(KeyError, match="other"):
        draw(tmp_path / "x.jsonl", tasks, verifier, lambda: Confused(answer))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sample": None}, "sample is None"),
        ({"sample": "3"}, "sample is '3'"),
        ({"problem_id": 7}, "problem_id is 7"),
        ({"text": None}, "text is None"),
        ({"code": ...}, "it lacks 'code'"),
        ({"hidden": {"status": "fine"}}, "'fine' is not a valid Status"),
        ({"fresh": "passed"}, "string indices"),
    ],
)
def test_a_row_that_is_no_sample_is_named(
    verifier: Counting,
    tasks: list[JudgedBy],
    tmp_path: Path,
    changes: dict[str, object],
    said: str,
) -> None:
    """Pools are put together by hand, too."""
    path = tmp_path / "completions" / "before.jsonl"
    draw(path, tasks[:1], verifier, lambda: ScriptedSampler(answer))
    rows = list(read_jsonl(path))
    last = {key: value for key, value in (rows[-1] | changes).items() if value is not ...}
    write_jsonl(path, [*rows[:-1], last])
    with pytest.raises(AxiomError, match=rf"before\.jsonl, row {len(rows)}: not a sample .*{said}"):
        read_rollouts(path)
