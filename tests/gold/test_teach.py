"""stage=teach: what is asked, kept, left out, refused and gone on with."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bad_endpoint import RIGHT, THOUGHT, WRONG
from teaching import Teaching, by_sample, rows

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, write_jsonl
from axiom_rl.core.types import Completion, Problem, Solution, Status, Verdict
from axiom_rl.gold.rows import sft_rows
from axiom_rl.gold.teacher.answers import judged
from axiom_rl.gold.teacher.asked import failed, pass_rates
from axiom_rl.gold.teacher.traces import read_traces
from axiom_rl.problems import make_problem
from axiom_rl.report.page import build_page
from axiom_rl.report.run_folder import read_run
from axiom_rl.report.sections.teacher import teacher_section
from axiom_rl.rollouts.records import Rollout
from axiom_rl.sampling import SampleRequest
from axiom_rl.verify import extract_code

FENCE = "```python\ndef reverse_string(s):\n    return s[::-1]\n```"
PROSE = "We walk the text backwards, which puts its last character first, and join.\n\n"


def reverse(index: int) -> Problem:
    return make_problem("reverse_string", difficulty=1, index=index)


def test_traces_are_gold_with_reasoning_and_what_is_wrong_stands_apart(
    teach: Teaching, teacher: Any
) -> None:
    asked = teacher(by_sample("I will not.", WRONG, THOUGHT + FENCE))
    folder = teach("run", "teacher.samples=4", "teacher.min_yield=0")
    traces = read_traces(folder / "traces.jsonl")
    assert len(traces) == 3 and {trace.sample for trace in traces} == {2}
    assert traces[0].reasoning == "The last character comes first, so walk backwards."
    assert traces[0].solution_code.startswith("def reverse_string")
    assert (traces[0].teacher, traces[0].model_name, traces[0].tokens) == ("local", "script", 11)
    assert traces[0].passed_tests == traces[0].total_tests > 0
    wrong = rows(folder / "traces_wrong.jsonl")
    assert sorted({row["why"] for row in wrong}) == ["no_code", "wrong_answer"]
    assert [p for p, sample in asked.drawn if sample == 3] != []  # rounds of 1, 1, 2
    result = read_json(folder / "teacher" / "result.json")
    assert (result["asked"], result["solved"], result["answers"]) == (3, 3, 12)
    assert result["counts"]["no_code"] == 6 and result["yield"] == 0.25
    with pytest.raises(AxiomError, match=r"row 1: it is wrong \(.*never trained on"):
        read_traces(folder / "traces_wrong.jsonl")


def test_what_is_solved_is_asked_no_more_and_max_traces_ends_it(
    teach: Teaching, teacher: Any
) -> None:
    asked = teacher(by_sample(RIGHT))
    folder = teach("run", "teacher.samples=4", "teacher.max_traces=2")
    assert len(read_traces(folder / "traces.jsonl")) == 2 and len(asked.drawn) == 2
    assert asked.closed == 1


def test_a_round_is_not_smaller_than_what_its_time_is_worth(teach: Teaching, teacher: Any) -> None:
    asked = teacher(by_sample(RIGHT))
    asked.least = 32  # as a model on a CPU: a step takes as long for one answer
    folder = teach("run", "teacher.samples=4", "teacher.max_traces=2")
    assert len(read_traces(folder / "traces.jsonl")) == 2 and len(asked.drawn) == 3
    assert read_json(folder / "teacher" / "result.json")["counts"] == {"surplus": 1}


def test_several_traces_of_a_problem_are_different_ones(teach: Teaching, teacher: Any) -> None:
    other = THOUGHT + "```python\ndef reverse_string(s):\n    return ''.join(reversed(s))\n```"
    teacher(by_sample(RIGHT, RIGHT, other, RIGHT))
    folder = teach("run", "teacher.samples=4", "teacher.traces_per_problem=3")
    assert len(read_traces(folder / "traces.jsonl")) == 6
    assert read_json(folder / "teacher" / "result.json")["counts"] == {"duplicate": 6}


def test_a_low_yield_stops_and_says_what_to_try(teach: Teaching, teacher: Any) -> None:
    asked = teacher(by_sample("<think>\nand so on and on ..."))
    small = ("teacher.samples=50", "teacher.judged_after=6", "problems.sizes.train=4")
    with pytest.raises(AxiomError, match=r"yield is 0\.0 % \(0 right of 8 answers\)") as caught:
        teach("run", *small)
    assert "8 answers were cut off: teacher.max_new_tokens=1280" in str(caught.value)
    assert "programs first, their reasoning after (teacher.reasoning=after)" in str(caught.value)
    assert len(asked.drawn) == 8  # not 200
    folder = teach.folder / "run"
    assert {row["why"] for row in rows(folder / "traces_wrong.jsonl")} == {"truncated_thinking"}
    page = build_page(read_run(folder))
    assert "0 of 4 problems: 0 traces from 8 answers" in page.headline
    (table,) = [b for b in teacher_section(read_run(folder)).blocks if "no trace" in str(b)]
    assert "['tokens of answers per trace', 'no trace']" in str(table)
    with pytest.raises(AxiomError, match="yield"):  # a resumed run asks nothing again
        teach("run", *small)
    assert len(asked.drawn) == 8


@pytest.mark.parametrize("after", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (0, 2))])
def test_a_stopped_run_goes_on_and_asks_for_nothing_judged(
    teach: Teaching, teacher: Any, after: int
) -> None:
    asked = teacher(by_sample(WRONG, RIGHT))
    asked.stop_at = after
    with pytest.raises(KeyboardInterrupt):
        teach("run")
    folder = teach("run")
    drawn = len(asked.drawn)
    assert len(set(asked.drawn)) == 6
    assert drawn <= 6 + after  # what was not judged yet is asked again; by an API, from its cache
    assert len(read_traces(folder / "traces.jsonl")) == 3
    teach("run")  # finished: nothing at all
    assert len(asked.drawn) == drawn


@pytest.mark.slow
def test_a_stopped_run_asks_for_what_it_would_have_asked_for(teach: Teaching, teacher: Any) -> None:
    """The yield is looked at after 2 and 6 answers, where it is fine; after 3 it is too low."""

    def say(request: SampleRequest, _sample: int) -> str:
        index = int(request.problem_id.rpartition("/")[2])
        time.sleep(0.5 * (index == 3))  # until the one before is judged, and written at the stop
        return WRONG if index in (1, 2, 3) else RIGHT

    small = ("problems.sizes.train=8", "teacher.judged_after=2", "teacher.min_yield=0.4")
    found = []
    for name, stop in (("whole", None), ("stopped", 4)):
        asked = teacher(say)
        asked.stop_at = stop
        if stop is not None:
            with pytest.raises(KeyboardInterrupt):
                teach(name, *small, "teacher.samples=1")
        folder = teach(name, *small, "teacher.samples=1")
        answers = rows(folder / "completions" / "teach.jsonl")
        traces = [(t.problem_id, t.sample) for t in read_traces(folder / "traces.jsonl")]
        found.append((sorted((row["problem_id"], row["sample"]) for row in answers), traces))
    assert found[0] == found[1] and len(found[0][1]) == 5


@pytest.mark.parametrize(
    "place",
    ["outcome.write_traces", pytest.param("teach.write_json", marks=pytest.mark.slow)],
)
def test_a_run_killed_while_it_writes_goes_on(
    teach: Teaching, teacher: Any, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    asked = teacher(by_sample(RIGHT))
    with monkeypatch.context() as patch:

        def killed(*_args: Any) -> None:
            raise KeyboardInterrupt

        patch.setattr(f"axiom_rl.gold.teacher.{place}", killed)
        with pytest.raises(KeyboardInterrupt):
            teach("run")
    folder = teach("run")
    assert len(asked.drawn) == 3 and len(read_traces(folder / "traces.jsonl")) == 3
    (row,) = [row for row in rows(folder / "metrics.jsonl") if row["phase"] == "teach"]
    assert (row["asked"], row["traces"], row["tokens"], row["share"]) == (3, 3, 33, 1.0)


def test_traces_of_a_file_are_judged_like_others(teach: Teaching) -> None:
    ids = [reverse(index).id for index in range(3)]
    mine = teach.folder / "mine.jsonl"
    write_jsonl(
        mine,
        [
            {"problem_id": ids[0], "text": WRONG},
            {"problem_id": ids[0], "text": RIGHT, "tokens": 40},
            {"problem_id": ids[1], "reasoning": "Backwards.", "solution_code": FENCE},
            {"problem_id": ids[1][:-1] + "77", "text": RIGHT},
        ],
    )
    folder = teach("run", "teacher=file", f"teacher.traces={mine}")
    traces = read_traces(folder / "traces.jsonl")
    assert [trace.problem_id for trace in traces] == ids[:2] and traces[0].tokens == 40
    assert traces[1].reasoning == "Backwards."
    result = read_json(folder / "teacher" / "result.json")
    assert (result["asked"], result["solved"], result["right"]) == (3, 2, 2)
    assert "The teacher" in {section.title for section in build_page(read_run(folder)).sections}


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([{"problem_id": "p"}], "row 1: a row needs problem_id, and text"),
        ([{"problem_id": 3, "text": "x"}], "row 1"),
        ([{"problem_id": "p", "text": "x"}], "none of which is asked for"),
        ([], "holds no traces"),
    ],
)
def test_a_file_that_cannot_be_judged_is_refused(
    teach: Teaching, lines: list[dict[str, Any]], says: str
) -> None:
    write_jsonl(teach.folder / "mine.jsonl", lines)
    with pytest.raises(AxiomError, match=says):
        teach("run", "teacher=file", f"teacher.traces={teach.folder / 'mine.jsonl'}")


def test_an_answer_that_repeats_a_benchmark_is_not_trained_on(
    teach: Teaching, teacher: Any
) -> None:
    phrase = "one two three four five six seven eight nine"
    task = {
        "task_id": "HumanEval/7",
        "prompt": f'def f(x):\n    """Say {phrase} of it."""\n',
        "canonical_solution": "    return x\n",
        "test": "def check(candidate):\n    assert candidate(1) == 1\n",
        "entry_point": "f",
    }
    (teach.folder / "bench.jsonl").write_text(json.dumps(task))
    teacher(by_sample(f"<think>\nSay {phrase}.\n</think>\n\n{FENCE}", RIGHT))
    check = ("teacher.check=auto", f"teacher.check_files=[{teach.folder / 'bench.jsonl'}]")
    folder = teach("run", *check)
    wrong = rows(folder / "traces_wrong.jsonl")
    assert {row["why"] for row in wrong} == {"contaminated: HumanEval/7 (same text)"}
    assert {trace.sample for trace in read_traces(folder / "traces.jsonl")} == {1}
    files = check[1]
    for says, *typed in (
        (r"teacher\.check=always", "teacher.check=always"),
        ("leave one of the two out", "teacher.check=never", files),
        ("gone", "teacher.check=auto", f"teacher.check_files=[{teach.folder / 'gone.jsonl'}]"),
    ):
        with pytest.raises(AxiomError, match=says):
            teach("other", *typed)
        assert not list((teach.folder / "other").iterdir())  # before anything is opened or asked


def rollout(text: str, *, passed: bool = True, truncated: bool = False) -> Rollout:
    status = Status.ACCEPTED if passed else Status.WRONG_ANSWER
    return Rollout(
        completion=Completion(
            problem_id="p", sample=0, text=text, prompt_tokens=1, completion_tokens=1,
            truncated=truncated,
        ),
        code=extract_code(text, "reverse_string"),
        hidden=Verdict(status=status, passed=passed, pass_fraction=float(passed)),
        fresh=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("item", "why", "reasoning"),
    [
        (rollout(THOUGHT + FENCE), "", "The last character comes first, so walk backwards."),
        (rollout(PROSE + FENCE), "", PROSE.strip()),  # small models leave the tags out
        (rollout("Here it is:\n" + FENCE), "no_reasoning", ""),
        (rollout("<think>\n\n</think>\n" + FENCE), "no_reasoning", ""),
        (
            rollout(f"<think>\nDraft:\n{FENCE}\nfine\n</think>\n{FENCE}"),
            "",
            f"Draft:\n{FENCE}\nfine",
        ),
        (rollout("so it goes\n</think>\n" + FENCE), "", "so it goes"),  # the prompt began it
        (rollout(f"{PROSE[:-2]} I close no `</think>`.\n" + FENCE), "not_in_one_form", ""),
        (rollout("<think>\na\n<think>\nb\n</think>\n" + FENCE), "", "a\n<think>\nb"),
        (rollout("<think>\na\n</think>\n<think>\nb\n</think>\n" + FENCE), "", "a\nb"),
        (rollout("", passed=False), "empty", ""),
        (rollout("No.", passed=False), "wrong_answer", ""),
        (rollout("<think>\nhm", passed=False, truncated=True), "truncated_thinking", ""),
        (
            rollout("<think>\na\n</think>\n```python\ndef", passed=False, truncated=True),
            "truncated",
            "",
        ),
        (rollout("so then we", passed=False, truncated=True), "truncated_thinking", ""),
    ],
)
def test_what_an_answer_is_worth(item: Rollout, why: str, reasoning: str) -> None:
    found = judged(item, reverse(0))
    assert (found.why, found.reasoning) == (why, reasoning)


def test_the_student_decides_what_is_asked(teach: Teaching, teacher: Any) -> None:
    problems = [reverse(index) for index in range(3)]
    student = teach.folder / "student"
    samples = [(0, True), (0, False), (1, False), (1, False), (2, True), (2, True)]
    write_student(student, problems, samples)
    asked = teacher(by_sample(RIGHT))
    teach("run", f"stage.student={student}")
    assert {problem for problem, _ in asked.drawn} == {problems[1].id}
    teach("more", f"stage.student={student}", "teacher.max_pass_rate=0.5")
    assert {problem for problem, _ in asked.drawn} == {p.id for p in problems[:2]}
    with pytest.raises(AxiomError, match="fails none of the problems"):
        write_student(student, problems, [(n, True) for n in range(3)])
        teach("none", f"stage.student={student}")
    for folder, says in ((teach.folder, "no completions/before.jsonl"), (student, "not finished")):
        if folder == student:
            (student / "checkpoints" / "state.json").unlink()
        with pytest.raises(AxiomError, match=says):
            teach("bad", f"stage.student={folder}")
    assert failed(problems, {problems[0].id: 0.25}, 0.2) == problems[1:]
    assert pass_rates([]) == {}


def write_student(folder: Path, problems: list[Problem], samples: list[tuple[int, bool]]) -> None:
    from axiom_rl.problems.splits import Splits, write_splits
    from axiom_rl.rollouts.records import rollout_row

    write_splits(folder / "problems", Splits(train=tuple(problems), val=(), test=()))
    items = [
        replace(item, completion=replace(item.completion, problem_id=problems[n].id, sample=place))
        for place, (n, passed) in enumerate(samples)
        for item in [rollout(FENCE, passed=passed)]
    ]
    lines = [rollout_row(item, "before", 0) for item in items]
    write_jsonl(folder / "completions" / "before.jsonl", lines)
    state = {"schema": 1, "finished": ["evaluate/before"], "metrics_rows": 0}
    (folder / "checkpoints").mkdir(exist_ok=True)
    (folder / "checkpoints" / "state.json").write_text(json.dumps(state))


def test_rows_of_the_style_think_have_the_one_form() -> None:
    problem = reverse(0)
    plain = Solution(
        problem_id=problem.id, problem_title="t",
        solution_code="def reverse_string(s):\n    return s[::-1]\n",
        passed_tests=1, total_tests=1, model_name="m", timestamp="",
    )  # fmt: skip
    (row,) = sft_rows(
        [replace(plain, reasoning=" Backwards. "), plain],
        {problem.id: problem},
        "think",
        "completion",
    )
    text = row["completion"][0]["content"]
    assert text == f"<think>\nBackwards.\n</think>\n\n{FENCE}"
    assert extract_code(text, "reverse_string") == FENCE.split("\n", 1)[1].removesuffix("\n```")
    assert "<think>" in row["prompt"][-1]["content"]
    with pytest.raises(AxiomError, match="none of the solutions has reasoning"):
        sft_rows([plain], {problem.id: problem}, "think", "completion")


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (("traces=T",), "type problems.prompt=think"),
        (("traces=T", "solutions=T"), "two files"),
        ((), "trainer.traces=path.jsonl"),
        (("solutions=S", "think"), "programs alone"),
        (("traces=nowhere.jsonl", "think"), "no such file"),
        (("traces=S", "think"), "row 1: no reasoning"),
    ],
)
def test_traces_are_refused_where_they_do_not_belong(
    teach: Teaching, teacher: Any, keys: tuple[str, ...], says: str
) -> None:
    teacher(by_sample(RIGHT))
    traces = teach("run") / "traces.jsonl"
    plain = teach.folder / "plain.jsonl"
    dropped = ("reasoning", "teacher")
    write_jsonl(plain, [{k: row[k] for k in row if k not in dropped} for row in rows(traces)])
    files = {"T": traces, "S": plain}
    given = [k.partition("=") for k in keys if k != "think"]
    typed = [f"trainer.{key}={files.get(value, value)}" for key, _, value in given]
    typed += ["problems.prompt=think"] if "think" in keys else []
    with pytest.raises(AxiomError, match=says):
        teach("train", "stage=train", "trainer=sft", *typed)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"solution_code": "```python\n```"}, "solution_code holds no program"),
        ({"passed_tests": None, "total_tests": None}, "passed_tests must be a whole number"),
        ({"passed_tests": 0, "total_tests": 0}, "0 of 0 tests passed"),
        ({"passed_tests": 1, "total_tests": 2}, "1 of 2 tests passed"),
        ({"reasoning": "so\n</think>\nand"}, "reasoning holds a tag such as </think>"),
        ({"reasoning": "<think>\nso\n</think>"}, "reasoning holds a tag such as </think>"),
        ({"reasoning": ["so"]}, "reasoning must be text, and not empty"),
        ({"why": "wrong_answer"}, "it is wrong"),
    ],
)
def test_a_trace_of_ones_own_that_cannot_be_trained_on_is_named(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    row = {
        **{"problem_id": "p", "problem_title": "", "solution_code": FENCE, "reasoning": "So.\r\n"},
        **{"passed_tests": 3, "total_tests": 3, "model_name": "", "timestamp": "", "teacher": "me"},
        **{"sample": 0, "prompt_tokens": 0, "tokens": 0, "seconds": 0, "more": [1], "expert": "x"},
    }
    path = tmp_path / "mine.jsonl"
    write_jsonl(path, [row])
    (trace,) = read_traces(path)
    assert trace.solution_code == "def reverse_string(s):\n    return s[::-1]", "without its fence"
    path.write_text(json.dumps(row) + "\r\n" + json.dumps(row | changes))
    with pytest.raises(AxiomError, match=rf"mine\.jsonl, row 2: {says}"):
        read_traces(path)


def test_own_reasoning_that_would_be_read_as_something_else_is_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    problem = reverse(0)
    plain = Solution(
        problem_id=problem.id, problem_title="t", solution_code="def reverse_string(s): pass",
        passed_tests=1, total_tests=1, model_name="m", timestamp="",
    )  # fmt: skip
    torn = replace(plain, reasoning="I write `</think>` here.")
    rows = sft_rows(
        [torn, replace(plain, reasoning="Yes.")], {problem.id: problem}, "think", "code"
    )
    assert len(rows) == 1 and "1 of 2 solutions hold a tag such as </think>" in caplog.text
    with pytest.raises(AxiomError, match="none of the solutions has reasoning"):
        sft_rows([torn], {problem.id: problem}, "think", "code")


def test_a_request_is_rendered_in_the_style_think(teach: Teaching, teacher: Any) -> None:
    seen: list[SampleRequest] = []

    def say(request: SampleRequest, _sample: int) -> str:
        seen.append(request)
        return RIGHT

    teacher(say)
    teach("run")
    assert all("inside <think> and </think>" in each.messages[-1]["content"] for each in seen)
