"""The client of an OpenAI-compatible server, against a small server that fails in all its ways."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from axiom_rl.config import VllmServerConfig, load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Completion
from axiom_rl.models.weights.resolve import resolve
from axiom_rl.sampling import SampleRequest
from axiom_rl.sampling.server import ServerSampler, open_server


@dataclass
class Fake:
    """A server and what it has seen."""

    address: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    fail: Callable[[int], int] = lambda number: 0
    """From the number of a completion request, counted from 0, to a status; 0 is a good answer."""
    delay_s: float = 0.0
    told: str = "as told"
    """In errors."""
    page: str = ""
    """Answered to everything in the place of what was asked."""
    refuse_adapter: str = ""
    with_ids: bool = True
    open: int = 0
    most_open: int = 0
    lock: Any = field(default_factory=threading.Lock)


def handler(fake: Fake) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            self._answer(200, fake.page or {"data": [{"id": "the-model"}]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with fake.lock:
                number = sum(path.endswith("completions") for path in fake.paths)
                fake.paths.append(self.path)
                fake.headers.append(dict(self.headers))
                fake.asked.append(body)
                fake.open += 1
                fake.most_open = max(fake.most_open, fake.open)
            time.sleep(fake.delay_s)
            status = fake.fail(number)
            with fake.lock:
                fake.open -= 1
            if status == -1:
                self.connection.close()
            elif status:
                self._answer(status, {"error": fake.told})
            elif fake.page:
                self._answer(200, fake.page)
            elif fake.refuse_adapter and self.path.endswith("/load_lora_adapter"):
                self._answer(400, {"message": fake.refuse_adapter})
            elif self.path.endswith("_lora_adapter"):
                self._answer(200, "Success: LoRA adapter added successfully.")
            else:
                self._answer(200, completion(body, fake.with_ids))

        def _answer(self, status: int, value: Any) -> None:
            data = (value if isinstance(value, str) else json.dumps(value)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler


def completion(body: dict[str, Any], with_ids: bool) -> dict[str, Any]:
    choice: dict[str, Any] = {"text": f"seed {body['seed']}", "finish_reason": "stop"}
    if with_ids:
        choice["token_ids"] = [7, 8]
    if "logprobs" in body:
        choice["logprobs"] = {"token_logprobs": [-0.5, -0.25]}
    return {"choices": [choice], "usage": {"completion_tokens": 2}}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    made = Fake()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(made))
    made.address = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


def sampler(fake: Fake, folder: Path, *overrides: str, adapter: str | None = None) -> ServerSampler:
    options = (f"model.path={folder}", "sampler=vllm_server", f"sampler.url={fake.address}")
    config = load_config(*options, *overrides)
    assert isinstance(config.sampler, VllmServerConfig)
    return open_server(resolve(config.model), config.sampler, ExitStack())(adapter)


def asked(samples: int = 4) -> list[SampleRequest]:
    return [
        SampleRequest(
            problem_id=name,
            messages=({"role": "user", "content": f"write {name}"},),
            samples=tuple(range(samples)),
            stream="0/before",
        )
        for name in ("a", "b")
    ]


def texts(drawn: list[Completion]) -> dict[tuple[str, int], str]:
    return {(item.problem_id, item.sample): item.text for item in drawn}


def test_each_sample_has_its_own_seed(fake: Fake, tiny_model_folder: Path) -> None:
    first = texts(list(sampler(fake, tiny_model_folder).sample(asked())))
    assert len(first) == len(set(first.values())) == 8
    assert texts(list(sampler(fake, tiny_model_folder).sample(asked()))) == first
    body = fake.asked[0]
    assert (body["model"], body["temperature"], body["top_p"]) == ("the-model", 0.7, 1.0)
    assert body["max_tokens"] == 320


def test_ids_and_logprobs_where_the_server_gives_them(fake: Fake, tiny_model_folder: Path) -> None:
    (item, *_) = sampler(fake, tiny_model_folder).sample(asked(), temperature=1.0)
    assert (item.token_ids, item.logprobs) == ((7, 8), (-0.5, -0.25))
    assert len(item.prompt_ids) == item.prompt_tokens
    (item, *_) = sampler(fake, tiny_model_folder).sample(asked(), temperature=0.7)
    assert (item.token_ids, item.logprobs) == ((7, 8), ()), "servers give untempered ones"
    fake.with_ids = False
    (item, *_) = sampler(fake, tiny_model_folder).sample(asked(), temperature=1.0)
    assert (item.prompt_ids, item.token_ids, item.logprobs) == ((), (), ())


@pytest.mark.parametrize("status", [429, 500, 503, -1])
def test_what_fails_for_a_moment_is_tried_again(
    fake: Fake, tiny_model_folder: Path, status: int
) -> None:
    fake.fail = lambda number: status if number < 3 else 0
    drawn = list(sampler(fake, tiny_model_folder, "sampler.in_flight=2").sample(asked()))
    assert len(drawn) == 8
    assert len(fake.asked) == 8 + 3


def test_the_last_try_is_an_error_that_says_what_to_type(
    fake: Fake, tiny_model_folder: Path
) -> None:
    fake.fail = lambda number: 500
    with pytest.raises(AxiomError, match=r"500.*tried 3 times.*sampler.url.*sampler.retries"):
        list(sampler(fake, tiny_model_folder, "sampler.retries=2").sample(asked()))


def test_a_refused_request_is_not_tried_again(fake: Fake, tiny_model_folder: Path) -> None:
    fake.fail = lambda number: 400
    with pytest.raises(AxiomError, match="the server answers 400"):
        list(sampler(fake, tiny_model_folder, "sampler.in_flight=1").sample(asked(samples=1)))
    assert len(fake.asked) <= 2


def test_a_slow_answer_is_a_timeout(fake: Fake, tiny_model_folder: Path) -> None:
    fake.delay_s = 0.5
    chosen = ("sampler.timeout_s=0.1", "sampler.retries=0")
    with pytest.raises(AxiomError, match=r"APITimeoutError.*sampler.timeout_s"):
        list(sampler(fake, tiny_model_folder, *chosen).sample(asked(samples=1)))


def test_never_more_requests_at_once_than_allowed(fake: Fake, tiny_model_folder: Path) -> None:
    fake.delay_s = 0.02
    list(sampler(fake, tiny_model_folder, "sampler.in_flight=3").sample(asked(samples=8)))
    assert 2 <= fake.most_open <= 3


def test_an_adapter_is_handed_over_by_its_folder(
    fake: Fake, tiny_model_folder: Path, tmp_path: Path
) -> None:
    chosen = sampler(fake, tiny_model_folder, adapter=str(tmp_path))
    assert fake.paths == ["/v1/load_lora_adapter"]
    assert fake.asked[0]["lora_path"] == str(tmp_path)
    list(chosen.sample(asked(samples=1)))
    assert fake.asked[1]["model"] == fake.asked[0]["lora_name"]


def test_a_server_that_takes_no_adapters(
    fake: Fake, tiny_model_folder: Path, tmp_path: Path
) -> None:
    fake.fail = lambda number: 404
    with pytest.raises(AxiomError, match=r"does not take the adapter.*404.*--enable-lora"):
        sampler(fake, tiny_model_folder, adapter=str(tmp_path))


def test_adapters_are_unloaded_for_new_ones_and_at_the_end(
    fake: Fake, tiny_model_folder: Path, tmp_path: Path
) -> None:
    config = load_config(
        f"model.path={tiny_model_folder}", "sampler=vllm_server", f"sampler.url={fake.address}"
    )
    assert isinstance(config.sampler, VllmServerConfig)
    with ExitStack() as resources:
        load = open_server(resolve(config.model), config.sampler, resources)
        first, *_ = (load(str(tmp_path / name)) for name in "abc")
        assert [path.rpartition("/")[2] for path in fake.paths] == [
            "load_lora_adapter",
            "load_lora_adapter",
            "unload_lora_adapter",
            "load_lora_adapter",
        ]
        assert fake.asked[2]["lora_name"] == fake.asked[0]["lora_name"]
        list(first.sample(asked(samples=1)))  # it comes back when it is needed
        assert fake.asked[-1]["model"] == fake.asked[5]["lora_name"]
    loaded = [b["lora_name"] for b, p in zip(fake.asked, fake.paths, strict=True) if "/load" in p]
    gone = [b["lora_name"] for b, p in zip(fake.asked, fake.paths, strict=True) if "/unload" in p]
    assert sorted(loaded) == sorted(gone) and len(set(loaded)) == 4


def test_a_lost_answer_to_a_loaded_adapter_is_no_failure(
    fake: Fake, tiny_model_folder: Path, tmp_path: Path
) -> None:
    fake.refuse_adapter = "The lora adapter 'x' has already been loaded."
    assert list(sampler(fake, tiny_model_folder, adapter=str(tmp_path)).sample(asked(samples=1)))


@pytest.mark.parametrize("page", ["<html>It works!</html>", "{}", '{"choices": []}'])
def test_what_is_no_completions_server_is_named(
    fake: Fake, tiny_model_folder: Path, page: str
) -> None:
    fake.page = page
    with pytest.raises(AxiomError, match=r"answer|lists no model"):
        list(sampler(fake, tiny_model_folder).sample(asked(samples=1)))


def test_the_key_is_read_from_the_environment(
    fake: Fake, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "secret")
    list(sampler(fake, tiny_model_folder).sample(asked(samples=1)))
    assert "Bearer secret" in fake.headers[0].values()


@pytest.mark.parametrize("status", [0, 400, 500])
def test_the_key_is_in_no_error(
    fake: Fake, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "very-secret-1\n")  # as from `cat`
    fake.told = "wrong: Bearer very-secret-1"
    fake.fail = lambda _number: status
    fake.page = "" if status else fake.told
    with pytest.raises(AxiomError) as caught:
        made = sampler(fake, tiny_model_folder, "sampler.retries=0", "sampler.served_model=it")
        list(made.sample(asked(samples=1)))
    error = caught.value
    assert "very-secret" not in f"{error}"
    assert error.__cause__ is None and (error.__suppress_context__ or error.__context__ is None)


@pytest.mark.parametrize("url", ["null", "localhost:8000"])
def test_an_address_is_needed(tiny_model_folder: Path, url: str) -> None:
    overrides = ("sampler=vllm_server", f"sampler.url={url}")
    config = load_config(f"model.path={tiny_model_folder}", *overrides)
    assert isinstance(config.sampler, VllmServerConfig)
    with pytest.raises(AxiomError, match=r"needs the server's address, e.g. sampler.url=http"):
        open_server(resolve(config.model), config.sampler, ExitStack())


def test_no_server_there(tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    with pytest.raises(AxiomError, match=r"APIConnectionError.*[rR]efused.*Is the server up"):
        sampler(Fake(address="http://127.0.0.1:9/v1"), tiny_model_folder, "sampler.retries=1")
