"""Sampling from a running server with OpenAI's completions interface, such as `vllm serve`.

Each sample is a request of its own with its own seed, so that a lost one is asked for again without
touching the others. The openai client tries again what fails for a moment (connection, timeout,
429, 5xx), with growing waits and the server's Retry-After; at most `sampler.in_flight` requests are
open. The server applies the seeds its own way, so texts differ from those of the other samplers.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from axiom_rl.config import SamplerConfig, VllmServerConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.keys import quiet_wire, without_key
from axiom_rl.core.progress import progress
from axiom_rl.core.types import Completion
from axiom_rl.models.load import Tokenizer, load_tokenizer
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.sampling.base import SampleRequest, SamplerFactory
from axiom_rl.sampling.choose import NEEDS_OPENAI, check_server
from axiom_rl.sampling.hf.next_token import stream_for
from axiom_rl.sampling.hf.sampler import prompt_tokens

try:
    import openai
except ImportError as error:
    raise AxiomError(NEEDS_OPENAI) from error

log = logging.getLogger(__name__)

KEY_VARIABLE = "VLLM_API_KEY"
SEED_BITS = 31
ADAPTERS_KEPT = 2
"""Adapters that the server holds for us at once; the oldest is unloaded for a new one."""


class Server:
    """One server and the adapters that it has loaded for this run."""

    def __init__(self, config: VllmServerConfig) -> None:
        """Take its address; nothing is sent yet.

        Raises:
            AxiomError: if there is no address.
        """
        check_server(config)
        quiet_wire()
        self._config = config
        self._loaded: dict[str, str] = {}
        """Names of the adapters at the server, by folder; the oldest first."""
        self._numbers = itertools.count(1)
        self._key = os.environ.get(KEY_VARIABLE, "").strip()
        self._client = openai.OpenAI(
            base_url=config.url,
            api_key=self._key or "none",  # the client insists on some key
            timeout=config.timeout_s,
            max_retries=config.retries,
        )

    def ask(self, call: Callable[[openai.OpenAI], Any]) -> Any:
        """Make one call of the client and return its answer.

        Raises:
            AxiomError: for an answer that another try would not change, or after the last try.
        """
        try:
            return call(self._client)
        except (openai.APIConnectionError, openai.InternalServerError, openai.RateLimitError) as e:
            # Of a lost connection the client itself says very little.
            why = self.clean(str(e.__cause__ or e))
            raise AxiomError(
                f"{self._config.url}: {type(e).__name__}: {why} (tried {self._config.retries + 1} "
                "times). Is the server up? See sampler.url, sampler.timeout_s, sampler.retries, "
                "sampler.in_flight"
            ) from None
        except openai.APIStatusError as e:
            said = self.clean(e.response.text)[:500]
            told = f"the server answers {e.status_code} {said}"
            raise AxiomError(f"{self._config.url}: {told}") from None
        except (openai.OpenAIError, ValueError, AttributeError) as e:  # a page, not JSON
            said = self.clean(str(e))
            raise AxiomError(
                f"{self._config.url}: the answer is none of a completions server ({said}); give "
                "the address up to the version, e.g. sampler.url=http://localhost:8000/v1"
            ) from None

    def clean(self, text: str) -> str:
        """Take the key out of what the server says."""
        return without_key(text, self._key)

    def model(self) -> str:
        """Return the name under which the server has the base model."""
        if self._config.served_model is not None:
            return self._config.served_model
        listed = self.ask(lambda client: client.models.list())
        if not getattr(listed, "data", None):
            raise AxiomError(
                f"{self._config.url}: the server lists no model; give its name by "
                "sampler.served_model="
            )
        return str(listed.data[0].id)

    def adapter(self, folder: Path) -> str:
        """Return the name of an adapter at the server, loading it if it is not there.

        Raises:
            AxiomError: if the server does not take it.
        """
        key = str(folder)
        if key in self._loaded:
            return self._loaded[key]
        while len(self._loaded) >= ADAPTERS_KEPT:
            self._unload(next(iter(self._loaded)))
        name = f"axiom-rl-{os.getpid()}-{next(self._numbers)}"
        try:
            self._post("/load_lora_adapter", {"lora_name": name, "lora_path": key})
        except AxiomError as error:
            if "already" not in str(error):  # the answer to an earlier try was lost
                raise AxiomError(
                    f"the server does not take the adapter {folder}: {error}. Start it with "
                    "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True and --enable-lora, where it sees this "
                    "folder, or merge the adapter (stage=export) and serve the result"
                ) from error
        self._loaded[key] = name
        return name

    def close(self) -> None:
        """Unload what this run loaded."""
        for folder in list(self._loaded):
            self._unload(folder)
        self._client.close()

    def _unload(self, folder: str) -> None:
        name = self._loaded.pop(folder)
        try:
            self._post("/unload_lora_adapter", {"lora_name": name})
        except AxiomError as error:  # it costs the server some memory and us nothing
            log.warning("the adapter %s stays at the server: %s", name, error)

    def _post(self, path: str, body: dict[str, str]) -> None:
        self.ask(lambda client: client.post(path, cast_to=str, body=body))


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
        adapter: Path | None,
        tokenizer: Tokenizer,
        config: VllmServerConfig,
    ) -> None:
        """Sample from the server's base model, or from it with an adapter.

        Raises:
            AxiomError: if the server cannot be reached or does not take the adapter.
        """
        self._server = server
        self._adapter = adapter
        self._tokenizer = tokenizer
        self._config = config
        self._base = server.model() if adapter is None else ""
        if adapter is not None:
            server.adapter(adapter)

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
        model = self._base if self._adapter is None else self._server.adapter(self._adapter)
        asked = [
            _Asked(request, sample, tuple(prompt_tokens(self._tokenizer, request.messages)))
            for request in requests
            for sample in request.samples
        ]
        pool = ThreadPoolExecutor(self._config.in_flight)
        try:
            open_: set[Future[Completion]] = {
                pool.submit(self._one, model, each, heat) for each in asked
            }
            with progress("sampling", len(asked), "sample") as shown:
                while open_:
                    done, open_ = wait(open_, return_when=FIRST_COMPLETED)
                    shown.update(len(done))
                    yield from (future.result() for future in done)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _one(self, model: str, asked: _Asked, temperature: float) -> Completion:
        stream = stream_for(asked.request.stream, asked.request.problem_id, asked.sample)
        known = temperature == 1 and self._config.top_p == 1
        answer = self._server.ask(
            lambda client: client.completions.create(
                model=model,
                prompt=list(asked.prompt),
                max_tokens=self._config.max_new_tokens,
                temperature=temperature,
                top_p=self._config.top_p,
                seed=stream.getrandbits(SEED_BITS),
                extra_body={"return_token_ids": True, **({"logprobs": 0} if known else {})},
            )
        )
        if not getattr(answer, "choices", None) or answer.usage is None:
            said = self._server.clean(repr(answer))
            raise AxiomError(f"{self._config.url}: an answer without choices or usage: {said}")
        (choice,) = answer.choices
        ids = tuple((choice.model_extra or {}).get("token_ids") or ())
        logprobs = choice.logprobs.token_logprobs if known and choice.logprobs else None
        return Completion(
            problem_id=asked.request.problem_id,
            sample=asked.sample,
            text=choice.text,
            prompt_tokens=len(asked.prompt),
            completion_tokens=answer.usage.completion_tokens,
            truncated=choice.finish_reason == "length",
            prompt_ids=asked.prompt if ids else (),
            token_ids=ids,
            logprobs=tuple(logprobs) if logprobs and len(logprobs) == len(ids) else (),
        )


def open_server(
    resolved: ResolvedModel, config: VllmServerConfig, resources: ExitStack
) -> SamplerFactory:
    """Return what makes a sampler of an adapter (its folder, or None for the base model).

    An adapter is handed over by its path, which the server must see, and which it must be allowed
    to load: VLLM_ALLOW_RUNTIME_LORA_UPDATING=True vllm serve ... --enable-lora. What was loaded is
    unloaded when `resources` close.

    Raises:
        AxiomError: if there is no address; later, if the server does not take the adapter.
    """
    server, tokenizer = Server(config), load_tokenizer(resolved)
    resources.callback(server.close)

    def load(adapter: str | None, settings: SamplerConfig | None = None) -> ServerSampler:
        chosen = config
        if settings is not None:
            rest = (settings.temperature, settings.top_p, settings.max_new_tokens)
            chosen = replace(config, temperature=rest[0], top_p=rest[1], max_new_tokens=rest[2])
        folder = None if adapter is None else Path(adapter).resolve()
        return ServerSampler(server, folder, tokenizer, chosen)

    return load
