"""Sampling from a running server with OpenAI's completions interface, such as `vllm serve`.

Each sample is a request of its own with its own seed, so that a lost one is asked for again without
touching the others. What fails for a moment (connection, timeout, 429, 5xx) is tried again with
growing waits; a server that says it is full gets fewer requests at once from then on. The server
applies the seeds its own way, so texts differ from those of the other samplers.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import random
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from axiom_rl.config import SamplerConfig, VllmServerConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.progress import progress
from axiom_rl.core.types import Completion
from axiom_rl.models.load import load_tokenizer
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.sampling.base import SampleRequest
from axiom_rl.sampling.hf.next_token import stream_for
from axiom_rl.sampling.hf.sampler import prompt_tokens

log = logging.getLogger(__name__)

KEY_VARIABLE = "VLLM_API_KEY"
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
FULL = (429, 503)
"""Answers of a server that has too much to do."""
SEED_BITS = 31


class Server:
    """One server: requests with retries, and never more of them at once than it can take."""

    def __init__(self, config: VllmServerConfig) -> None:
        """Take its address; nothing is sent yet.

        Raises:
            AxiomError: if there is no address.
        """
        if not config.url or not config.url.startswith(("http://", "https://")):
            raise AxiomError(
                f"sampler.url={config.url}: sampler=vllm_server needs the server's address, e.g. "
                "sampler.url=http://localhost:8000/v1"
            )
        self._url = config.url.rstrip("/")
        self._config = config
        self._gate = Gate(config.in_flight)

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Post a body, or get where there is none; return the JSON of the answer.

        Raises:
            AxiomError: for an answer that another try would not change, or after the last try.
        """
        for tried in range(self._config.retries + 1):
            try:
                with self._gate:
                    return self._once(path, body)
            except _PassingError as error:
                if error.status in FULL:
                    self._gate.narrow()
                if tried == self._config.retries:
                    raise AxiomError(
                        f"{self._url}/{path}: {error} (tried {tried + 1} times). Is the server up? "
                        "See sampler.url, sampler.timeout_s, sampler.retries, sampler.in_flight"
                    ) from error
                time.sleep(_wait_s(tried, error.after_s))
        raise AssertionError("unreachable: the last try returns or raises")

    def model(self) -> str:
        """Return the name under which the server has the base model."""
        if self._config.served_model is not None:
            return self._config.served_model
        return str(self.ask("models")["data"][0]["id"])

    def _once(self, path: str, body: Mapping[str, Any] | None) -> Any:
        headers = {"Content-Type": "application/json"}
        if os.environ.get(KEY_VARIABLE):
            headers["Authorization"] = f"Bearer {os.environ[KEY_VARIABLE]}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._url}/{path}", data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=self._config.timeout_s) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                told = error.read(500).decode(errors="replace")
            if error.code in FULL or error.code >= 500:
                raise _PassingError(f"{error.code} {told}", error.code, error.headers) from error
            raise AxiomError(
                f"{self._url}/{path}: the server answers {error.code} {told}"
            ) from error
        except (OSError, http.client.HTTPException) as error:  # refused, reset, timed out, torn
            raise _PassingError(f"{type(error).__name__}: {error}") from error
        try:
            return json.loads(text) if text.startswith(("{", "[")) else text
        except ValueError as error:
            raise _PassingError("the answer is not whole") from error


class _PassingError(Exception):
    """A failure that may be gone at the next try."""

    def __init__(self, text: str, status: int = 0, headers: Any = None) -> None:
        super().__init__(text)
        self.status = status
        told = headers.get("Retry-After", "") if headers is not None else ""
        self.after_s = float(told) if told.isdigit() else 0.0


class Gate:
    """Lets so many through at once; `narrow` halves the number."""

    def __init__(self, width: int) -> None:
        """Let `width` through at once."""
        self.width = width
        self._inside = 0
        self._changed = threading.Condition()

    def narrow(self) -> None:
        """Halve the number, to 1 at least."""
        with self._changed:
            self.width = max(1, self.width // 2)

    def __enter__(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._inside < self.width)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()


@dataclass(frozen=True, slots=True)
class _Asked:
    request: SampleRequest
    sample: int
    prompt: tuple[int, ...]


class ServerSampler:
    """Draws completions from a server."""

    def __init__(
        self,
        server: Server,
        model: str,
        tokenizer: PreTrainedTokenizerBase,
        config: VllmServerConfig,
    ) -> None:
        """Sample from the model that the server has under the name `model`."""
        self._server = server
        self._model = model
        self._tokenizer = tokenizer
        self._config = config

    def sample(
        self, requests: Sequence[SampleRequest], *, temperature: float | None = None
    ) -> Iterator[Completion]:
        """Yield one completion per requested sample, as it finishes.

        Token ids are there if the server returns them (vLLM 0.10.2 and newer); log-probabilities
        only at temperature 1 and top_p 1, where what servers return is what was drawn from.

        Raises:
            AxiomError: if the server refuses a request or cannot be reached after all retries.
        """
        heat = self._config.temperature if temperature is None else temperature
        asked = [
            _Asked(request, sample, tuple(prompt_tokens(self._tokenizer, request.messages)))
            for request in requests
            for sample in request.samples
        ]
        pool = ThreadPoolExecutor(self._config.in_flight)
        try:
            open_: set[Future[Completion]] = {pool.submit(self._one, each, heat) for each in asked}
            with progress("sampling", len(asked), "sample") as shown:
                while open_:
                    done, open_ = wait(open_, return_when=FIRST_COMPLETED)
                    shown.update(len(done))
                    yield from (future.result() for future in done)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _one(self, asked: _Asked, temperature: float) -> Completion:
        stream = stream_for(asked.request.stream, asked.request.problem_id, asked.sample)
        known = temperature == 1 and self._config.top_p == 1
        answer = self._server.ask(
            "completions",
            {
                "model": self._model,
                "prompt": list(asked.prompt),
                "max_tokens": self._config.max_new_tokens,
                "temperature": temperature,
                "top_p": self._config.top_p,
                "seed": stream.getrandbits(SEED_BITS),
                "return_token_ids": True,
                **({"logprobs": 0} if known else {}),
            },
        )
        (choice,) = answer["choices"]
        ids = tuple(choice.get("token_ids") or ())
        logprobs = (choice.get("logprobs") or {}).get("token_logprobs") if known else None
        return Completion(
            problem_id=asked.request.problem_id,
            sample=asked.sample,
            text=str(choice["text"]),
            prompt_tokens=len(asked.prompt),
            completion_tokens=int(answer["usage"]["completion_tokens"]),
            truncated=choice["finish_reason"] == "length",
            prompt_ids=asked.prompt if ids else (),
            token_ids=ids,
            logprobs=tuple(logprobs) if logprobs and len(logprobs) == len(ids) else (),
        )


def open_server(resolved: ResolvedModel, config: VllmServerConfig) -> Callable[..., ServerSampler]:
    """Return what makes a sampler of an adapter (its folder, or None for the base model).

    An adapter is handed over by its path, which the server must see, and which it must be allowed
    to load: VLLM_ALLOW_RUNTIME_LORA_UPDATING=True vllm serve ... --enable-lora.

    Raises:
        AxiomError: if there is no address; later, if the server does not take the adapter.
    """
    server, tokenizer = Server(config), load_tokenizer(resolved)
    count = 0

    def load(adapter: str | None, settings: SamplerConfig | None = None) -> ServerSampler:
        nonlocal count
        chosen = config
        if settings is not None:
            rest = (settings.temperature, settings.top_p, settings.max_new_tokens)
            chosen = replace(config, temperature=rest[0], top_p=rest[1], max_new_tokens=rest[2])
        if adapter is None:
            return ServerSampler(server, server.model(), tokenizer, chosen)
        count += 1
        name = f"axiom-rl-{os.getpid()}-{count}"
        body = {"lora_name": name, "lora_path": str(Path(adapter).resolve())}
        try:
            server.ask("load_lora_adapter", body)
        except AxiomError as error:
            raise AxiomError(
                f"the server does not take the adapter {adapter}: {error}. Start it with "
                "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True and --enable-lora, where it sees this "
                "folder, or merge the adapter (stage=export) and serve the result"
            ) from error
        return ServerSampler(server, name, tokenizer, chosen)

    return load


def _wait_s(tried: int, after_s: float) -> float:
    """Return a growing wait with some chance in it, so that many do not come back at once."""
    wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0**tried)
    return max(after_s, wait_s * random.uniform(0.5, 1.0))
