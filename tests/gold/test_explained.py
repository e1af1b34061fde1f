"""teacher.reasoning=after: programs first, then the reasoning behind each right one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bad_endpoint import Does, serving
from teaching import Scripted, Teaching, rows

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json
from axiom_rl.gold.teacher.answers import LONGEST, shortened
from axiom_rl.gold.teacher.asking import REASONING, Failure
from axiom_rl.gold.teacher.traces import read_traces
from axiom_rl.sampling import SampleRequest

AFTER = ("teacher.reasoning=after", "problems.prompt=think")
BECAUSE = "We walk the text backwards, which puts its last character first, and join them again."


def fenced(body: str) -> str:
    return f"```python\ndef reverse_string(s):\n    {body}\n```"


PROGRAMS = (
    fenced("return s"),
    fenced("return s[::-1]"),
    fenced("return ''.join(reversed(s))"),
)


def saying(because: Any) -> Any:
    """Sample 0 is wrong, the others are right; `because(problem, sample)` is what is said then."""

    def say(request: SampleRequest, sample: int) -> Any:
        if sample >= REASONING:
            return because(request.problem_id, sample - REASONING)
        return PROGRAMS[min(sample, 1 + sample % 2)]

    return say


def timed(folder: Path) -> dict[str, Any]:
    """The timing row of asking the teacher."""
    found = [row for row in rows(folder / "metrics.jsonl") if row.get("name") == "teach"]
    return dict(found[-1])


def failed(problem_id: str, sample: int) -> Failure:
    return Failure(
        problem_id=problem_id, sample=sample, kind="server_error", detail="status 500", final=True
    )


def reasoned(asked: Scripted) -> list[tuple[str, int]]:
    return [(name, sample - REASONING) for name, sample in asked.drawn if sample >= REASONING]


def test_reasoning_is_asked_for_behind_right_programs_alone(teach: Teaching, teacher: Any) -> None:
    seen: list[SampleRequest] = []
    plain = saying(lambda _name, _sample: BECAUSE)

    def say(request: SampleRequest, sample: int) -> str:
        seen.append(request)
        return str(plain(request, sample))

    asked = teacher(say)
    folder = teach("run", *AFTER, "teacher.samples=4", "teacher.min_yield=0")
    traces = read_traces(folder / "traces.jsonl")
    assert [(trace.sample, trace.reasoning) for trace in traces] == [(1, BECAUSE)] * 3
    assert {sample for _name, sample in reasoned(asked)} == {1} and len(reasoned(asked)) == 3
    first, last = seen[0].messages, seen[-1].messages
    assert "Answer with the function alone" in first[-1]["content"]
    assert [each["role"] for each in last] == ["user", "assistant", "user"]
    assert last[1]["content"] == PROGRAMS[1] and "This function is right" in last[2]["content"]
    # Tokens of program and reasoning are both counted: 7 and 11 of each answer.
    assert {(trace.prompt_tokens, trace.tokens) for trace in traces} == {(14, 22)}
    result = read_json(folder / "teacher" / "result.json")
    assert (result["answers"], result["right"], result["tokens"]) == (6, 3, 9 * 11)
    assert result["counts"] == {"wrong_answer": 3}
    assert timed(folder)["tokens"] == 9 * 11


def test_a_reasoning_that_is_no_use_makes_room_for_the_next_program(
    teach: Teaching, teacher: Any
) -> None:
    asked = teacher(saying(lambda _name, sample: "It works." if sample == 1 else BECAUSE))
    folder = teach("run", *AFTER, "teacher.samples=8", "teacher.min_yield=0")
    assert {trace.sample for trace in read_traces(folder / "traces.jsonl")} == {2}
    wrong = rows(folder / "traces_wrong.jsonl")
    assert [row["why"] for row in wrong if row["sample"] == 1] == ["no_reasoning"] * 3
    assert {sample for _name, sample in reasoned(asked)} == {1, 2}


def test_a_reasoning_that_never_came_makes_room_for_the_next_program(
    teach: Teaching, teacher: Any
) -> None:
    def because(name: str, sample: int) -> Any:
        return BECAUSE if sample == 2 else failed(name, REASONING + sample)

    asked = teacher(saying(because))
    folder = teach("run", *AFTER, "teacher.samples=8", "teacher.min_yield=0")
    assert {trace.sample for trace in read_traces(folder / "traces.jsonl")} == {2}
    assert {sample for _name, sample in reasoned(asked)} == {1, 2}
    result = read_json(folder / "teacher" / "result.json")
    assert (result["solved"], result["lost_requests"]) == (3, 3)
    assert (result["counts"]["unexplained"], result["counts"]["surplus"]) == (3, 3)


def test_a_low_yield_leaves_the_right_programs_as_traces(teach: Teaching, teacher: Any) -> None:
    plain = saying(lambda _name, _sample: BECAUSE)

    def say(request: SampleRequest, sample: int) -> Any:
        first = request.problem_id.endswith("/0") and sample < REASONING
        return PROGRAMS[1] if first else plain(request, sample)

    teacher(say)
    low = ("teacher.samples=4", "teacher.judged_after=3", "teacher.min_yield=0.5")
    with pytest.raises(AxiomError, match=r"yield is 33\.3 % \(1 right of 3 answers\)"):
        teach("run", *AFTER, *low)
    (trace,) = read_traces(teach.folder / "run" / "traces.jsonl")
    assert trace.reasoning == BECAUSE


def test_no_model_is_loaded_for_what_is_on_disk(
    teach: Teaching, teacher: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = (*AFTER, "teacher.samples=2", "teacher.min_yield=0")
    teacher(saying(lambda _name, _sample: BECAUSE))
    with monkeypatch.context() as patch:

        def killed(*_args: Any) -> None:
            raise KeyboardInterrupt

        patch.setattr("axiom_rl.gold.teacher.outcome.write_traces", killed)
        with pytest.raises(KeyboardInterrupt):
            teach("run", *options)
    asked = teacher(saying(lambda _name, _sample: BECAUSE))
    monkeypatch.setattr(asked, "answers", lambda _requests: pytest.fail("it is asked"))
    assert len(read_traces(teach("run", *options) / "traces.jsonl")) == 3


def test_no_more_reasoning_is_asked_for_than_traces_are_wanted(
    teach: Teaching, teacher: Any
) -> None:
    asked = teacher(saying(lambda _name, _sample: BECAUSE))
    folder = teach(
        *("run", *AFTER, "teacher.samples=4", "teacher.min_yield=0"),
        *("teacher.max_traces=2", "teacher.traces_per_problem=2"),
    )
    assert len(read_traces(folder / "traces.jsonl")) == len(reasoned(asked)) == 2
    assert "unexplained" not in read_json(folder / "teacher" / "result.json")["counts"]


def test_a_tag_or_a_program_in_a_reasoning_ends_before_it(teach: Teaching, teacher: Any) -> None:
    teacher(saying(lambda _name, _sample: BECAUSE + " </think> So it is.\n" + PROGRAMS[0]))
    with pytest.raises(AxiomError, match="no trace came of it"):
        teach("run", *AFTER, "teacher.samples=2", "teacher.min_yield=0")


def test_a_stopped_run_asks_for_no_reasoning_twice(teach: Teaching, teacher: Any) -> None:
    asked = teacher(saying(lambda _name, _sample: BECAUSE))
    asked.stop_at = 8  # three wrong programs, three right ones, two reasonings
    options = (*AFTER, "teacher.samples=2", "teacher.min_yield=0")
    with pytest.raises(KeyboardInterrupt):
        teach("run", *options)
    folder = teach("run", *options)
    assert len(asked.drawn) == len(set(asked.drawn)) == 9
    assert len(read_traces(folder / "traces.jsonl")) == 3
    assert len(rows(folder / "teacher" / "teach_reasoning.jsonl")) == 3
    again = teach("run", *options)
    assert len(asked.drawn) == 9 and len(read_traces(again / "traces.jsonl")) == 3


def test_the_file_of_a_trace_can_be_trained_on(teach: Teaching, teacher: Any) -> None:
    teacher(saying(lambda _name, _sample: f"<think>\nHm.\n</think>\n\n{BECAUSE}"))
    folder = teach("run", *AFTER, "teacher.samples=2", "teacher.min_yield=0")
    (reasoning,) = {trace.reasoning for trace in read_traces(folder / "traces.jsonl")}
    assert reasoning == BECAUSE


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (BECAUSE, BECAUSE),
        (BECAUSE + " And then", BECAUSE),
        (BECAUSE + "\n\n```python\ndef f():\n    pass\n```", BECAUSE),
        (BECAUSE + "\n1. **Base", BECAUSE),
        ("It works.", ""),
        ("", ""),
        ("word " * 300, ""),
        ("Start from the case of a text whose length is that of 0. " + "on " * 200, ""),
    ],
)
def test_whole_sentences_are_kept(text: str, kept: str) -> None:
    assert shortened(text) == kept


def test_a_long_reasoning_is_cut_behind_a_sentence() -> None:
    sentence = "Each of these ten words stands here for a step."
    kept = shortened(" ".join([sentence] * 40))
    assert kept == " ".join([sentence] * (LONGEST // 10)) and len(kept.split()) == LONGEST


def by_turn(_number: int, body: dict[str, Any], _headers: dict[str, str]) -> Does:
    return Does(text=PROGRAMS[1] if len(body["messages"]) == 1 else BECAUSE)


def test_an_endpoint_is_asked_twice_for_a_trace_and_paid_once(teach: Teaching) -> None:
    prices = ("teacher.price_in=1", "teacher.price_out=2")
    with serving(by_turn) as server:
        folder = teach.api("run", server.url, *AFTER, *prices)
        rerun = teach.api("again", server.url, *AFTER, *prices)
        assert len(server.requests) == 6
    for each in (folder, rerun):
        assert {trace.reasoning for trace in read_traces(each / "traces.jsonl")} == {BECAUSE}
    result = read_json(folder / "teacher" / "result.json")
    assert result["cost"] == pytest.approx(6 * (100 + 2 * 50) / 1e6)
    assert read_json(rerun / "teacher" / "result.json")["cost"] == 0


@pytest.mark.parametrize("refusal", [{"finish": "content_filter"}, {"message": {"refusal": "No."}}])
def test_a_refusal_is_no_reasoning(teach: Teaching, refusal: dict[str, Any]) -> None:
    sorry = "I am sorry, I cannot say what leads to such a function, by our rules."

    def say(_number: int, body: dict[str, Any], _headers: dict[str, str]) -> Does:
        first = len(body["messages"]) == 1
        return Does(text=PROGRAMS[1]) if first else Does(text=sorry, **refusal)

    with serving(say) as server, pytest.raises(AxiomError, match="it refuses"):
        teach.api("run", server.url, *AFTER)
    wrong = rows(teach.folder / "run" / "traces_wrong.jsonl")
    assert len(wrong) == 3 and {row["why"] for row in wrong} < {"refusal", "content_filter"}


def test_money_buys_whole_traces(teach: Teaching) -> None:
    prices = ("teacher.price_in=0", "teacher.price_out=1e6", "teacher.max_cost=160")
    limits = ("teacher.max_tokens=60", "teacher.in_flight=1", "teacher.judged_after=1")
    with serving(by_turn) as server:
        folder = teach.api("run", server.url, *AFTER, *prices, *limits)
        assert len(server.requests) == 3  # a trace is two of them, at 50 each
    result = read_json(folder / "teacher" / "result.json")
    assert (result["traces"], result["counts"]) == (1, {"unexplained": 1})


def test_money_that_buys_no_trace_says_how_to_go_on(teach: Teaching) -> None:
    prices = ("teacher.price_in=0", "teacher.price_out=1e6", "teacher.max_tokens=60")
    few = ("teacher.in_flight=1", "problems.sizes.train=1")
    with serving(by_turn) as server:
        with pytest.raises(AxiomError, match=r"no trace.*more money.*resume=.* teacher.max_cost="):
            teach.api("run", server.url, *AFTER, *prices, *few, "teacher.max_cost=70")
        folder = teach.api("run", server.url, *AFTER, *prices, *few, "teacher.max_cost=170")
        assert len(server.requests) == 2 and len(read_traces(folder / "traces.jsonl")) == 1


def test_money_that_ends_before_the_reasoning_leaves_what_is_whole(teach: Teaching) -> None:
    prices = ("teacher.price_in=0", "teacher.price_out=1e6", "teacher.max_cost=260")
    limits = ("teacher.max_tokens=60", "teacher.in_flight=1")
    with serving(by_turn) as server:
        folder = teach.api("run", server.url, *AFTER, *prices, *limits)
        assert len(server.requests) == 5  # 50 tokens each at 1 a token; the sixth may cost 60
    result = read_json(folder / "teacher" / "result.json")
    assert (result["traces"], result["right"], result["counts"]["unexplained"]) == (2, 3, 1)
    assert "teacher.max_cost=260" in result["ended"]


def test_a_local_teacher_names_its_own_limit(teach: Teaching) -> None:
    long = (f"teacher.model={teach.model}", "teacher.max_new_tokens=5000")
    with pytest.raises(AxiomError, match=r"lower teacher\.max_new_tokens"):
        teach("run", *AFTER, *long)
