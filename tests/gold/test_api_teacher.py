"""A teacher behind HTTP, and every way in which it can misbehave; no key is ever written."""

from __future__ import annotations

import email.utils
import functools
import json
import logging
import re
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bad_endpoint import ATTACK, RIGHT, WRONG, Does, answer, serving
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from teaching import Teaching, rows

from axiom_rl.config import CONF_DIR, ApiTeacherConfig, load_config, register_schemas
from axiom_rl.config.secrets import TypedSecretError
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json
from axiom_rl.gold.teacher.api import endpoint, requests
from axiom_rl.gold.teacher.api.endpoint import retry_after
from axiom_rl.gold.teacher.api.requests import ApiTeacher
from axiom_rl.gold.teacher.asking import Failure, TeacherAnswer
from axiom_rl.gold.teacher.traces import read_traces
from axiom_rl.sampling import SampleRequest

KEY = "sk-live-0123456789abcdefghij"


composed = functools.cache(load_config)


def composed_tree(*overrides: str) -> DictConfig:
    """What Hydra hands to a launcher."""
    register_schemas()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return compose("config", overrides=list(overrides), return_hydra_config=True)


def api(url: str, folder: Path, **changes: Any) -> ApiTeacherConfig:
    """The option as composed once, since composing takes longer than most of these tests."""
    plain = composed("teacher=api").teacher
    assert isinstance(plain, ApiTeacherConfig)
    return replace(plain, url=url, name="wise", cache=str(folder), **changes)


def asked(count: int) -> list[SampleRequest]:
    message = {"role": "user", "content": "Reverse."}
    return [
        SampleRequest(problem_id=f"p{n}", messages=(message,), samples=(0,), stream="0/teach")
        for n in range(count)
    ]


def gather(teacher: ApiTeacher, count: int) -> tuple[list[TeacherAnswer], list[Failure]]:
    given = list(teacher.answers(asked(count)))
    answers = [item for item in given if isinstance(item, TeacherAnswer)]
    return answers, [item for item in given if isinstance(item, Failure)]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "FIRST_WAIT_S", 0.01)


HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
FAULTS: dict[str, tuple[Does, str]] = {
    "vanishes": (Does(vanish=True), "connection"),
    "closes_half_way": (Does(cut=True), "connection"),
    "slow": (Does(sleep_s=0.6), "timeout"),
    "drips": (Does(drip_s=0.05), "timeout"),
    "rate_limit": (Does(status=429, headers={"Retry-After": "0.01"}), "rate_limit"),
    "500": (Does(status=500, body=b"oops"), "server_error"),
    "503_html": (Does(status=503, body=HTML), "server_error"),
    "html": (Does(body=HTML), "malformed"),
    "nothing": (Does(body=b""), "malformed"),
    "not_utf8": (Does(body=b"\xff\xfe{"), "malformed"),
    "json_of_another_kind": (Does(body=b'[{"choices": []}]'), "malformed"),
    "no_choices": (Does(body=b'{"choices": []}'), "malformed"),
    "error_in_200": (Does(body=b'{"error": {"message": "overloaded"}}'), "malformed"),
    "number_as_content": (Does(message={"content": 3}), "malformed"),
    "deep": (Does(body=b"[" * 200_000), "malformed"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_request_that_fails_is_counted_and_tried_again(name: str, tmp_path: Path) -> None:
    does, kind = FAULTS[name]
    with serving(lambda number, *_: does if number == 0 else Does()) as server:
        config = api(server.url, tmp_path, timeout_s=0.4, in_flight=1)
        teacher = ApiTeacher(config, "run", 0.0)
        answers, failures = gather(teacher, 2)
        teacher.close()
    assert [item.completion.problem_id for item in answers] == ["p0", "p1"]
    assert [(item.kind, item.final) for item in failures] == [(kind, False)], failures
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("does", "text", "refusal"),
    [
        (Does(text=""), "", ""),
        (Does(text=None), "", ""),
        (Does(text=None, message={"refusal": "I cannot."}), "I cannot.", "refusal"),
        (Does(text="", finish="content_filter"), "", "content_filter"),
        (Does(message={"content": [{"type": "text", "text": "a"}, "b"]}), "ab", ""),
        (Does(text="b", message={"reasoning_content": "a"}), "<think>\na\n</think>\n\nb", ""),
        (Does(text="b", message={"reasoning": "a"}), "<think>\na\n</think>\n\nb", ""),
        (Does(text="b", message={"refusal": False, "reasoning": {"effort": 1}}), "b", ""),
        (Does(text=None, message={"tool_calls": [{"id": "1"}]}, finish="tool_calls"), "", ""),
        (Does(message={"content": [None, {"type": "text", "text": "a"}]}), "a", ""),
        (
            Does(message={"content": [{"thinking": [{"type": "text", "text": "a"}]}, "b"]}),
            "<think>\na\n</think>\n\nb",
            "",
        ),
        (Does(body=b"\xef\xbb\xbf" + json.dumps(answer(Does(text="a"))).encode()), "a", ""),
        (Does(text="\ud83d a", message={"reasoning": "\ude00"}), "<think>\n?\n</think>\n\n? a", ""),
    ],
)
def test_an_answer_without_a_program_is_an_answer(
    does: Does, text: str, refusal: str, tmp_path: Path
) -> None:
    with serving(lambda *_: does) as server:
        answers, failures = gather(ApiTeacher(api(server.url, tmp_path), "run", 0.0), 1)
    assert [(item.completion.text, item.refusal) for item in answers] == [(text, refusal)]
    assert not failures


def test_tries_are_bounded_and_one_bad_request_costs_the_others_nothing(tmp_path: Path) -> None:
    def script(_n: int, body: dict[str, Any], _h: dict[str, str]) -> Does:
        return Does(status=500) if body["messages"][0]["content"].endswith("bad") else Does()

    items = asked(6)
    items[2] = SampleRequest(
        problem_id="p2", messages=({"role": "user", "content": "bad"},), samples=(0,), stream="s"
    )
    with serving(script) as server:
        given = list(ApiTeacher(api(server.url, tmp_path, retries=2), "r", 0.0).answers(items))
    assert Counter(type(item).__name__ for item in given) == {"TeacherAnswer": 5, "Failure": 3}
    assert [item.final for item in given if isinstance(item, Failure)] == [False, False, True]
    assert len(server.requests) == 8


def test_a_request_that_is_refused_is_not_tried_again(tmp_path: Path) -> None:
    with serving(lambda n, *_: Does(status=400, body=b"too long") if not n else Does()) as server:
        config = api(server.url, tmp_path, in_flight=1)
        answers, failures = gather(ApiTeacher(config, "r", 0.0), 2)
    assert len(answers) == 1 and [(f.kind, f.final) for f in failures] == [("rejected", True)]
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_no_request_would_change_ends_it_at_once(status: int, tmp_path: Path) -> None:
    with serving(lambda *_: Does(status=status, body=b"no")) as server:
        teacher = ApiTeacher(api(server.url, tmp_path, in_flight=1), "r", 0.0)
        with pytest.raises(AxiomError, match=f"status {status}: no"):
            gather(teacher, 5)
    assert len(server.requests) == 1


def test_an_endpoint_that_is_down_is_given_up(tmp_path: Path) -> None:
    with serving(lambda *_: Does()) as server:
        url = server.url
    teacher = ApiTeacher(api(url, tmp_path, retries=1), "r", 0.0)
    with pytest.raises(AxiomError, match=r"the last 8 requests failed.*Is the endpoint up"):
        gather(teacher, 100)


def test_a_rate_limit_holds_for_all_requests_and_a_long_one_is_not_waited_for(
    tmp_path: Path,
) -> None:
    long = Does(status=429, headers={"Retry-After": "86400"})
    with serving(lambda n, *_: long if not n else Does()) as server:
        answers, failures = gather(ApiTeacher(api(server.url, tmp_path, in_flight=1), "r", 0.0), 2)
    assert len(answers) == 1 and failures[0].final
    soon = Does(status=429, headers={"Retry-After": "0.4"})
    with serving(lambda n, *_: soon if not n else Does()) as server:
        teacher = ApiTeacher(api(server.url, tmp_path / "b", in_flight=1), "r", 0.0)
        started = time.monotonic()
        answers, failures = gather(teacher, 1)
    assert len(answers) == 1 and time.monotonic() - started >= 0.4


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 +" + "9" * 30}, None),
        ({"retry-after": "Wed, 99 Foo 2015 07:28:00 GMT"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_retry_after_in_each_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_retry_after_as_a_date_to_come() -> None:
    when = email.utils.format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert retry_after({"retry-after": when}) == pytest.approx(89.5, abs=1.5)


UNCOUNTED = [
    None,
    "many",
    {"prompt_tokens": -1, "completion_tokens": 4},
    {"prompt_tokens": 1, "completion_tokens": 10**400},
    {"prompt_tokens": 1.5, "completion_tokens": 4},
    {"completion_tokens": 4},
]


@pytest.mark.parametrize("usage", UNCOUNTED)
def test_tokens_that_are_not_counted_are_estimated(usage: Any, tmp_path: Path) -> None:
    does = Does(text="x" * 30, usage=usage if usage is not None else {"prompt_tokens": True})
    with serving(lambda *_: does) as server:
        answers, _ = gather(ApiTeacher(api(server.url, tmp_path), "r", 0.0), 1)
    assert answers[0].estimated and answers[0].completion.completion_tokens == 10


@pytest.mark.parametrize(("finish", "cut"), [("length", True), ("max_tokens", True), ("x", False)])
def test_an_answer_that_was_cut_off(finish: str, cut: bool, tmp_path: Path) -> None:
    usage = {"prompt_tokens": 7.0, "completion_tokens": 4}
    with serving(lambda *_: Does(finish=finish, usage=usage)) as server:
        answers, _ = gather(ApiTeacher(api(server.url, tmp_path), "r", 0.0), 1)
    assert answers[0].completion.truncated is cut
    assert (answers[0].completion.prompt_tokens, answers[0].estimated) == (7, False)


def test_nothing_is_paid_twice(tmp_path: Path) -> None:
    prices = {"price_in": 1.0, "price_out": 2.0}
    with serving(lambda *_: Does()) as server:
        config = api(server.url, tmp_path, **prices)
        first, _ = gather(ApiTeacher(config, "run", 0.0), 3)
        again, _ = gather(ApiTeacher(config, "run", 0.0), 3)  # killed before it was noted
        other, _ = gather(ApiTeacher(config, "other run", 0.0), 3)
        assert len(server.requests) == 3
        entry, other_entry, _whole = tmp_path.rglob("*.json")
        entry.write_text("{")  # damaged ones are asked for again
        other_entry.write_text(json.dumps(read_json(other_entry) | {"completion_tokens": "many"}))
        assert len(gather(ApiTeacher(config, "run", 0.0), 3)[0]) == 3
        assert len(server.requests) == 5
    cost = (100 * 1.0 + 50 * 2.0) / 1e6
    assert {item.cost for item in (*first, *again)} == {cost}
    assert {(item.cost, item.cached) for item in other} == {(0.0, True)}


def test_money_is_never_spent_beyond_the_limit(tmp_path: Path) -> None:
    # The worst case of one request: 100 tokens out, and a prompt of at most its bytes in.
    limits = {"price_out": 10_000.0, "max_tokens": 100, "max_cost": 3.4, "in_flight": 4}
    usage = {"prompt_tokens": 0, "completion_tokens": 60}
    with serving(lambda *_: Does(usage=usage)) as server:
        teacher = ApiTeacher(api(server.url, tmp_path, **limits), "run", 0.0)
        answers, failures = gather(teacher, 20)
    # 60 tokens cost 0.6 and at most 1.0: five fit (2.4 + 1.0), a sixth might not (3.0 + 1.0).
    assert len(answers) == len(server.requests) == 5 and not failures
    assert "teacher.max_cost=3.4: 3.0000 are spent" in teacher.exhausted


@pytest.mark.parametrize("in_flight", [16, 40])
def test_money_that_ends_with_many_requests_open_is_no_failure_of_the_endpoint(
    in_flight: int, tmp_path: Path
) -> None:
    limits = {"price_out": 10_000.0, "max_tokens": 100, "max_cost": 1.4, "in_flight": in_flight}
    usage = {"prompt_tokens": 0, "completion_tokens": 60}
    with serving(lambda *_: Does(usage=usage)) as server:
        teacher = ApiTeacher(api(server.url, tmp_path, **limits), "run", 0.0)
        answers, failures = gather(teacher, 40)
    assert len(answers) == len(server.requests) == 1 and not failures
    assert "teacher.max_cost=1.4: 0.6000 are spent" in teacher.exhausted


@pytest.mark.slow
@pytest.mark.parametrize(
    "does",
    [
        Does(status=500, body=b"oops" * 100, drip_s=0.05),
        Does(status=429, body=b"o" * 10 * endpoint.LARGEST_ERROR),
        Does(status=500, headers={"Content-Encoding": "gzip"}),
        Does(status=502, cut=True),
        Does(status=599, body=b""),
    ],
)
def test_the_words_of_an_error_are_bounded_too(does: Does, tmp_path: Path) -> None:
    with serving(lambda n, *_: does if not n else Does()) as server:
        teacher = ApiTeacher(api(server.url, tmp_path, timeout_s=0.5, in_flight=1), "r", 0.0)
        started = time.monotonic()
        answers, failures = gather(teacher, 1)
        took = time.monotonic() - started
    assert len(answers) == 1 and took < 10  # the first would take 20 s
    kind = "rate_limit" if does.status == 429 else "server_error"
    assert [(item.kind, item.final) for item in failures] == [(kind, False)]
    assert failures[0].detail.startswith(f"status {does.status}") and len(failures[0].detail) < 400


def test_a_placeholder_for_a_key_is_not_taken_out_of_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_KEY", "key")
    text = "```python\ndef f(d):\n    return [key for key in d]\n```"
    steps = [Does(status=500, body=b"bad key"), Does(text=text)]
    with serving(lambda n, *_: steps[n]) as server:
        config = api(server.url, tmp_path, key_env="LOCAL_KEY", in_flight=1)
        answers, failures = gather(ApiTeacher(config, "r", 0.0), 1)
    assert answers[0].completion.text == text and failures[0].detail == "status 500: bad ***"


def test_what_a_killed_start_paid_counts_once(tmp_path: Path) -> None:
    limits = {"price_out": 10_000.0, "max_tokens": 100, "max_cost": 3.4, "in_flight": 1}
    usage = {"prompt_tokens": 0, "completion_tokens": 60}
    with serving(lambda *_: Does(usage=usage)) as server:
        config = api(server.url, tmp_path, **limits)
        gather(ApiTeacher(config, "run", 0.0), 2)  # paid 1.2, and killed before it was noted
        again = ApiTeacher(config, "run", 0.0)
        answers, _ = gather(again, 20)
        assert len(answers) == len(server.requests) == 5 and "3.0000 are spent" in again.exhausted
        noted = ApiTeacher(config, "run", 3.0, lambda *_: True)
        assert len(gather(noted, 20)[0]) == 5 and "3.0000 are spent" in noted.exhausted


def test_a_lost_request_counts_as_its_worst_case(tmp_path: Path) -> None:
    limits = {"price_out": 10_000.0, "max_tokens": 100, "max_cost": 2.5, "in_flight": 1}
    with serving(lambda *_: Does(cut=True)) as server:
        teacher = ApiTeacher(api(server.url, tmp_path, retries=9, **limits), "run", 0.0)
        answers, failures = gather(teacher, 3)
    assert not answers and len(server.requests) == 2
    assert [item.uncertain for item in failures] == [1.0, 1.0] and teacher.exhausted


def test_what_is_asked_of_the_endpoint(tmp_path: Path) -> None:
    with serving(lambda *_: Does()) as server:
        gather(ApiTeacher(api(server.url, tmp_path), "run", 0.0), 1)
        extra = {"extra.max_completion_tokens": 9, "extra.reasoning_effort": "low"}
        typed = {f"+teacher.{key}": value for key, value in extra.items()}
        made = load_config(
            *("teacher=api", f"teacher.url={server.url}", "teacher.name=wise"),
            *("teacher.temperature=null", f"teacher.cache={tmp_path}"),
            *(f"{key}={value}" for key, value in typed.items()),
        )
        assert isinstance(made.teacher, ApiTeacherConfig)
        gather(ApiTeacher(made.teacher, "run", 0.0), 1)
    first, second = server.requests
    assert first["model"] == "wise" and first["max_tokens"] == 2048 and first["temperature"] == 0.7
    assert second.keys() == {"model", "messages", "max_completion_tokens", "reasoning_effort"}


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (("teacher.url=null",), "needs teacher.url"),
        (("teacher.name=null",), "needs teacher.name"),
        (("teacher.key_env=NO_SUCH_KEY",), "there is no such environment variable"),
        (("teacher.max_cost=1",), "needs prices"),
        (("+teacher.extra.stream=true",), "set by the run"),
        (("+teacher.extra.max_tokens=-1",), "whole number"),
    ],
)
def test_a_teacher_that_lacks_something_is_refused_first(
    teach: Teaching, typed: tuple[str, ...], says: str
) -> None:
    with pytest.raises(AxiomError, match=says):
        teach.api("run", "http://127.0.0.1:9/v1", *typed)
    assert not list((teach.folder / "run").iterdir())


def test_a_whole_stage_with_every_fault_in_it(
    teach: Teaching, caplog: pytest.LogCaptureFixture
) -> None:
    plan = [Does(status=500), Does(cut=True), Does(text="I cannot help."), Does(text=ATTACK)]
    plan += [Does(text=WRONG), Does(body=HTML), Does(text="")]

    def script(number: int, *_: Any) -> Does:
        return plan[number] if number < len(plan) else Does()

    caplog.set_level(logging.INFO)
    with serving(script) as server:
        prices = ("teacher.price_in=1", "teacher.price_out=2", "teacher.samples=4")
        typed = (*prices, "teacher.in_flight=1")
        folder = teach.api("run", server.url, *typed)
        sent = len(server.requests)
        rerun = teach.api("again", server.url, *typed)
        assert len(server.requests) == sent  # a rerun costs nothing
    assert len(read_traces(folder / "traces.jsonl")) == 3
    assert len(read_traces(rerun / "traces.jsonl")) == 3
    result = read_json(folder / "teacher" / "result.json")
    counts = result["counts"]
    assert counts["request_server_error"] == counts["request_connection"] == 1
    assert counts["request_malformed"] == counts["empty"] == counts["no_code"] == 1
    assert counts["wrong_answer"] == 1
    hostile = [row for row in rows(folder / "traces_wrong.jsonl") if "getppid" in str(row["code"])]
    assert [row["why"] for row in hostile] in (["security_violation"], ["runtime_error"]), counts
    paid = sent - 3
    assert result["answers"] == paid
    assert result["cost"] == pytest.approx(paid * (100 + 2 * 50) / 1e6)
    again = read_json(rerun / "teacher" / "result.json")
    assert again["cost"] == 0 and again["cached"] == paid
    assert "3 traces of 3 of 3 problems" in caplog.text


def test_a_killed_stage_goes_on_and_pays_once(
    teach: Teaching, monkeypatch: pytest.MonkeyPatch
) -> None:
    from axiom_rl.gold.teacher import asking

    noted = asking.Ledger.note
    calls = iter(range(100))

    def killed(self: Any, item: Any, seconds: float) -> None:
        if next(calls) == 1:
            raise KeyboardInterrupt  # the answer is paid for, and on disk
        noted(self, item, seconds)

    prices = ("teacher.price_in=1", "teacher.price_out=2", "teacher.in_flight=1")
    with serving(lambda *_: Does()) as server:
        monkeypatch.setattr(asking.Ledger, "note", killed)
        with pytest.raises(KeyboardInterrupt):
            teach.api("run", server.url, *prices)
        folder = teach.api("run", server.url, *prices)
    assert len(server.requests) == 3
    result = read_json(folder / "teacher" / "result.json")
    assert result["cost"] == pytest.approx(3 * 200 / 1e6) and result["answers"] == 3


def test_what_was_right_is_written_when_the_endpoint_goes_down(
    teach: Teaching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "GIVE_UP_AFTER", 2)
    with serving(lambda n, *_: Does() if n == 0 else Does(status=500)) as server:
        typed = ("teacher.in_flight=1", "teacher.retries=0")
        with pytest.raises(AxiomError, match="resume= goes on"):
            teach.api("run", server.url, *typed)
    folder = teach.folder / "run"
    assert len(read_traces(folder / "traces.jsonl")) == 1
    assert "Is the endpoint up" in read_json(folder / "teacher" / "result.json")["ended"]


# What must never be written.


def everything(folder: Path) -> str:
    found = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return b"\n".join(found).decode("utf-8", "replace")


def test_no_key_is_written_whatever_the_endpoint_says(
    teach: Teaching, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)  # as by hydra.verbose=true
    monkeypatch.setenv("WISE_KEY", KEY + "\n")  # as from `cat`
    heard: list[str] = []

    def script(number: int, _body: dict[str, Any], headers: dict[str, str]) -> Does:
        headers = {name.lower(): value for name, value in headers.items()}
        heard.append(headers["authorization"])
        echo = headers["authorization"]
        escaped = "".join(f"\\u{ord(char):04x}" for char in echo)
        told = json.dumps({"error": echo}).encode()
        steps = [
            Does(status=500, body=told),
            Does(body=f"<html>{echo} http://me:{KEY}@host/".encode()),
            Does(status=429, body=told),
            Does(body=b"x" * (endpoint.SHOWN - 10) + echo.encode()),  # cut off inside of it
            Does(body=b" " * 9 * endpoint.SHOWN + b"x" + echo.encode()),
            Does(text=f"Your key is {echo}.", finish=KEY),
            Does(body=f'{{"choices": [{{"message": {{"content": "{escaped}"}}}}]}}'.encode()),
            Does(text=RIGHT.replace("walk", KEY)),
        ]
        return replace(steps[min(number, len(steps) - 1)], headers={"X-Echo": echo})

    with serving(script) as server:
        retries = ("teacher.retries=9", "teacher.samples=3")
        typed = ("teacher.key_env=WISE_KEY", "teacher.in_flight=1", *retries)
        folder = teach.api("run", server.url, *typed)
    assert set(heard) == {f"Bearer {KEY}"}
    written = everything(teach.folder) + caplog.text
    assert KEY[:12] not in written and "***" in written
    assert KEY not in json.dumps(rows(folder / "traces.jsonl"))
    assert "WISE_KEY" in (folder / "config.yaml").read_text()


def test_no_key_is_in_an_exception(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WISE_KEY", KEY)
    with serving(lambda *_: Does(status=401, body=f"bad key {KEY}".encode())) as server:
        teacher = ApiTeacher(api(server.url, tmp_path, key_env="WISE_KEY"), "r", 0.0)
        with pytest.raises(AxiomError) as caught:
            gather(teacher, 1)
    shown, error = "", caught.value
    while error is not None:
        shown += f"{error!r} {error}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)  # type: ignore[assignment]
    assert KEY not in shown and "teacher.key_env" in shown


@pytest.mark.parametrize("value", ["a b", "k\u00e9y", "k\x07y"])
def test_a_value_that_is_no_key_is_refused_without_showing_it(
    value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WISE_KEY", value)
    with pytest.raises(AxiomError, match="is no key") as caught:
        ApiTeacher(api("http://127.0.0.1:9/v1", tmp_path, key_env="WISE_KEY"), "r", 0.0)
    assert value not in str(caught.value)


SECRETS = [
    f"teacher.url=https://me:{KEY}@host/v1",
    f"teacher.url=https://{KEY}@host/v1",
    f"teacher.url='https://host/v1?api_key={KEY}'",
    f"teacher.url=https://host/{KEY}/v1",
    "teacher.url='https://host/v1;api_key=0123456789abcdefghij'",
    f"teacher.url=https://host:{KEY}/v1",
    f"sampler=vllm_server sampler.url=https://me:{KEY}@host/v1",
    f"sampler=vllm_server sampler.url='https://host/v1?key={KEY}'",
    f"teacher.key_env={KEY}",
    f"teacher.name={KEY}",
    f"+teacher.extra.api_key={KEY}",
    "+teacher.extra.token=anything",
    f"+teacher.extra.note={KEY}",
    f"+teacher.extra.headers.Authorization={KEY}",
]


@pytest.mark.parametrize("typed", SECRETS)
def test_a_key_that_was_typed_is_refused_without_showing_it(typed: str) -> None:
    with pytest.raises(TypedSecretError) as caught:
        load_config("teacher=api", *typed.split(" "))
    assert KEY not in str(caught.value) and re.search(r"(teacher|sampler)\.", str(caught.value))
    assert re.search("would keep|environment variable|is no address", str(caught.value))


@pytest.mark.parametrize(
    "name", ["hf-internal-testing/tiny-random-gpt2", "skywork-o1-open-llama-3.1-8b", "gpt-5-mini"]
)
def test_a_models_name_is_no_key(name: str) -> None:
    made = load_config("teacher=api", f"teacher.name={name}").teacher
    assert isinstance(made, ApiTeacherConfig) and made.name == name


def test_a_sweep_that_is_refused_for_a_key_does_not_repeat_it() -> None:
    from hydra_plugins.axiom_sweeps.launcher import _check

    with pytest.raises(AxiomError) as caught:
        _check(composed_tree("teacher=api", f"teacher.key_env={KEY}"), [f"teacher.key_env={KEY}"])
    assert KEY not in str(caught.value)


def test_open_requests_are_waited_for_and_kept_on_ctrl_c(tmp_path: Path) -> None:
    begun = threading.Event()

    def script(number: int, *_: Any) -> Does:
        begun.set()
        return Does(sleep_s=0.3 if number else 0.0)

    with serving(script) as server:
        config = api(server.url, tmp_path, in_flight=3)
        stream = ApiTeacher(config, "run", 0.0).answers(asked(3))
        next(stream)
        stream.close()  # as Ctrl-C does
        sent = len(server.requests)
        answers, _ = gather(ApiTeacher(config, "run", 0.0), sent)
        assert len(answers) == sent == len(server.requests)


def test_the_largest_answer_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "LARGEST_BYTES", 1000)
    with serving(lambda *_: Does(text="x" * 5000)) as server:
        _, failures = gather(ApiTeacher(api(server.url, tmp_path, retries=0), "r", 0.0), 1)
    assert failures[0].kind == "malformed" and "more than 1,000 bytes" in failures[0].detail
