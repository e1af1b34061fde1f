"""One request to a chat endpoint: what it answers, or how it failed. Nothing is tried again here.

The openai client sends the request and words the errors. The answer is read in pieces, since the
client's time limit is of each piece: a server that sends a byte now and then would never end.
"""

from __future__ import annotations

import email.utils
import importlib.util
import json
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from axiom_rl.config import ApiTeacherConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.keys import quiet_wire, without_key
from axiom_rl.core.text import whole_text

try:
    import openai
except ImportError as error:
    raise AxiomError(
        "teacher=api needs the package openai: pip install 'axiom-rl[server]'"
    ) from error

HTTP: tuple[Any, ...] = tuple(
    importlib.import_module(name)
    for name in ("httpx2", "httpx")  # below the openai client: by its version, one or the other
    if importlib.util.find_spec(name) is not None
)
NEVER_SENT = tuple(kind for http in HTTP for kind in (http.ConnectError, http.ConnectTimeout))
TIMEOUTS = tuple(http.TimeoutException for http in HTTP)
TROUBLE = tuple(k for http in HTTP for k in (http.HTTPError, http.StreamError, http.InvalidURL))
"""What the connection raises while an answer is read; the client words no error by then."""

LARGEST_BYTES = 32_000_000
"""Of one answer."""
LARGEST_ERROR = 65_536
"""Bytes that are read of an error's words."""
BYTES_PER_TOKEN = 3
"""For estimates, where an endpoint does not count; programs have three to four."""
SHOWN = 300
"""Characters of an endpoint's own words in a message."""
MOST_TOKENS = 10**9
"""That one answer can have; a larger count is none."""
SHORTEST_KEY = 8
"""Characters; what is shorter is a placeholder of a local server, and may well be a word of a
program (`key`, `x`), so that it is taken out of errors and not out of answers."""
FATAL = {
    401: "the endpoint does not take the key; see teacher.key_env",
    402: "the endpoint asks for payment",
    403: "the endpoint forbids it; see teacher.key_env and teacher.name",
    404: "there is no such address or model; see teacher.url (up to the version, e.g. "
    "https://api.openai.com/v1) and teacher.name",
}
"""Statuses that no other request would change."""
RATE_LIMIT = 429
OURS = {"model", "messages", "stream", "n"}
"""Fields of a request that nobody else may set."""


class _Refused(Exception):
    """An answer whose status is an error's, with the beginning of its words."""

    def __init__(self, status: int, headers: Mapping[str, str], told: str) -> None:
        super().__init__(f"status {status}")
        self.status, self.headers, self.told = status, headers, told


class RequestFailure(Exception):
    """A request that failed; the message holds no secret."""

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        again: bool = True,
        wait_s: float | None = None,
        uncertain: bool = False,
    ) -> None:
        """Say what happened.

        Args:
            kind: see `Failure.kind`.
            detail: in words.
            again: whether another try can help.
            wait_s: seconds that the endpoint asks to wait.
            uncertain: whether the endpoint may have begun to answer, and charge for it.
        """
        super().__init__(detail)
        self.kind, self.detail, self.again = kind, detail, again
        self.wait_s, self.uncertain = wait_s, uncertain


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What an endpoint answered."""

    text: str
    """Reasoning that came in a field of its own stands before it, in <think> tags."""
    finish_reason: str
    """stop, length, refusal, content_filter or another word of the endpoint's."""
    prompt_tokens: int
    completion_tokens: int
    estimated: bool
    """Whether these two are, for the endpoint does not count."""


class ChatEndpoint:
    """Sends requests with the key, and takes it out of everything that comes back."""

    def __init__(self, config: ApiTeacherConfig) -> None:
        """Open a client; nothing is sent yet.

        Raises:
            AxiomError: if the address, the model's name or the key is missing.
        """
        check_api(config)
        quiet_wire()
        self._config = config
        self._key = _key(config)
        self._of_thread = threading.local()
        """deadline: of the request that a thread has sent."""
        self._client = openai.OpenAI(
            base_url=config.url,
            api_key=self._key or "none",  # the client insists on some key
            timeout=config.timeout_s,
            max_retries=0,
            http_client=openai.DefaultHttpxClient(event_hooks={"response": [self._look]}),
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def ask(self, body: Mapping[str, Any]) -> Reply:
        """Send one request.

        Args:
            body: of the request.

        Raises:
            RequestFailure: if it failed.
            AxiomError: if every other request would fail as well.
        """
        try:
            data = self._send(body)
        except openai.APITimeoutError as error:
            late = not isinstance(error.__cause__, NEVER_SENT)
            raise RequestFailure(
                "timeout", f"no answer within {self._config.timeout_s:g} s", uncertain=late
            ) from None
        except openai.APIConnectionError as error:
            cause = error.__cause__ or error
            if isinstance(cause, _Refused):  # older clients take what `_look` raises for one
                raise self._refused(cause) from None
            raise self._lost(cause) from None
        except _Refused as error:
            raise self._refused(error) from None
        except openai.APIStatusError as error:  # a redirect that leads nowhere
            response = error.response
            other = _Refused(error.status_code, response.headers, _text_of(response))
            raise self._refused(other) from None
        except TIMEOUTS:
            detail = f"no whole answer within {self._config.timeout_s:g} s"
            raise RequestFailure("timeout", detail, uncertain=True) from None
        except TROUBLE as error:
            raise self._lost(error) from None
        except (openai.OpenAIError, ValueError, TypeError) as error:
            raise RequestFailure("malformed", self.clean(str(error)), uncertain=True) from None
        return self._reply(data, body)

    def clean(self, text: str) -> str:
        """Take the key, and user and password of addresses, out of a text."""
        return without_key(text, self._key)

    def _send(self, body: Mapping[str, Any]) -> bytes:
        deadline = self._of_thread.deadline = time.monotonic() + self._config.timeout_s
        data = bytearray()
        given = dict(body)
        model, messages = given.pop("model"), given.pop("messages")
        with self._client.chat.completions.with_streaming_response.create(
            model=model, messages=messages, extra_body=given
        ) as response:
            for part in response.iter_bytes():
                data += part
                if time.monotonic() > deadline:
                    detail = f"no whole answer within {self._config.timeout_s:g} s"
                    raise RequestFailure("timeout", detail, uncertain=True)
                if len(data) > LARGEST_BYTES:
                    detail = f"an answer of more than {LARGEST_BYTES:,} bytes"
                    raise RequestFailure("malformed", detail, uncertain=True)
        return bytes(data)

    def _look(self, response: Any) -> None:
        """Read the words of an error ourselves: the client would read them without any end.

        Raises:
            _Refused: for a status of 400 or more.
        """
        if response.status_code < 400:
            return
        data = bytearray()
        try:
            for part in response.iter_bytes():
                data += part
                if time.monotonic() > self._of_thread.deadline or len(data) > LARGEST_ERROR:
                    break
        except TROUBLE:
            pass  # the status tells enough
        told = data[:LARGEST_ERROR].decode("utf-8", "replace")
        raise _Refused(response.status_code, response.headers, told)

    def _lost(self, error: BaseException) -> RequestFailure:
        never_there = isinstance(error, NEVER_SENT)
        words = self.clean(f"{type(error).__name__}: {error}")[:SHOWN]
        return RequestFailure("connection", words, uncertain=not never_there)

    def _refused(self, error: _Refused) -> RequestFailure:
        status = error.status
        told = self.clean(error.told)[:SHOWN]
        detail = f"status {status}: {' '.join(told.split())}"
        if status in FATAL:
            raise AxiomError(f"{self._config.url}: {FATAL[status]} ({detail})") from None
        wait = retry_after(error.headers)
        if status == RATE_LIMIT:
            return RequestFailure("rate_limit", detail, wait_s=wait)
        if status >= 500 or status in (408, 409):
            return RequestFailure("server_error", detail, wait_s=wait)
        return RequestFailure("rejected", detail, again=False)

    def _reply(self, data: bytes, body: Mapping[str, Any]) -> Reply:
        try:
            answer = json.loads(data.decode("utf-8-sig"))
            choice = answer["choices"][0]
            message = choice["message"]
            content = _plain(message.get("content"))
            refusal = _said(message.get("refusal"))
            thought = _said(message.get("reasoning_content")) or _said(message.get("reasoning"))
            thought = thought or _thinking(message.get("content"))
            finish = choice.get("finish_reason")
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
            words = self.clean(data.decode("utf-8", "replace")).split()
            begin = " ".join(words)[:SHOWN]  # cut last: half a key is one too
            raise RequestFailure(
                "malformed", f"the answer is none of a chat endpoint: {begin!r}", uncertain=True
            ) from None
        key = self._key if len(self._key) >= SHORTEST_KEY else ""
        text, thought = (whole_text(without_key(each, key)) for each in (content, thought))
        if thought.strip() and "<think>" not in text:
            text = f"<think>\n{thought.strip()}\n</think>\n\n{text}"
        if refusal.strip():
            text, finish = text or whole_text(self.clean(refusal)), "refusal"
        asked, drawn, estimated = _tokens(answer, body, text)
        return Reply(
            text=text,
            finish_reason=self.clean(finish) if isinstance(finish, str) else "",
            prompt_tokens=asked,
            completion_tokens=drawn,
            estimated=estimated,
        )


def check_api(config: ApiTeacherConfig) -> None:
    """Refuse a teacher that lacks address, name or key.

    Raises:
        AxiomError: naming the key of the config.
    """
    if config.url is None:
        raise AxiomError(
            "teacher=api needs teacher.url, the endpoint's address up to the version, e.g. "
            "teacher.url=https://api.openai.com/v1"
        )
    if not config.name:
        raise AxiomError("teacher=api needs teacher.name, the model's name at the endpoint")
    for key in OURS & config.extra.keys():
        raise AxiomError(f"teacher.extra.{key}: this field is set by the run; leave it out")
    for key in ("max_tokens", "max_completion_tokens"):
        if key in config.extra and not (type(config.extra[key]) is int and config.extra[key] > 0):
            raise AxiomError(f"teacher.extra.{key}={config.extra[key]}: must be a whole number")
    if config.max_cost is not None and not (config.price_in or config.price_out):
        raise AxiomError(
            f"teacher.max_cost={config.max_cost:g} needs prices of a million tokens: "
            "teacher.price_in= and teacher.price_out="
        )
    _key(config)


def _key(config: ApiTeacherConfig) -> str:
    if config.key_env is None:
        return ""
    key = os.environ.get(config.key_env, "").strip()  # a line from a file ends with a newline
    if not key:
        raise AxiomError(
            f"teacher.key_env={config.key_env}: there is no such environment variable, or it is "
            f"empty; type export {config.key_env}=... first"
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise AxiomError(
            f"teacher.key_env={config.key_env}: the variable's value is no key (it holds spaces or "
            "characters that no header can carry)"
        )
    return key


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that Retry-After asks for; None where it says nothing that is one."""
    given = headers.get("retry-after-ms")
    scale = 1000.0
    if given is None:
        given, scale = headers.get("retry-after"), 1.0
    if given is None:
        return None
    try:
        seconds = float(given) / scale
    except ValueError:
        try:
            when = email.utils.parsedate_to_datetime(given)
        except (ValueError, OverflowError):  # such as a time zone of thirty digits
            return None
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        seconds = (when - datetime.now(UTC)).total_seconds()
    return seconds if 0 <= seconds < float("inf") else None


def _text_of(response: Any) -> str:
    try:
        return str(response.text)
    except (*TROUBLE, ValueError):
        return ""


def _plain(content: Any) -> str:
    """Return the text of a message, which may come in parts."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(
            part if isinstance(part, str) else str(part.get("text") or "")
            for part in content
            if part is not None
        )
    raise TypeError("the content is no text")


def _said(content: Any) -> str:
    """Return the text of a field that may hold something else, such as `"refusal": false`."""
    return _plain(content) if isinstance(content, str | list) else ""


def _thinking(content: Any) -> str:
    """Return the reasoning among the parts of a message, where it is a part of its own."""
    parts = content if isinstance(content, list) else []
    found = [part.get("thinking") for part in parts if isinstance(part, dict)]
    return "\n".join(text for each in found if (text := _said(each)))


def _tokens(answer: Mapping[str, Any], body: Mapping[str, Any], text: str) -> tuple[int, int, bool]:
    """Return tokens of prompt and answer, and whether they are estimated."""
    usage = answer.get("usage")
    counts = (
        [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
        if isinstance(usage, dict)
        else []
    )
    known = [int(str(count).removesuffix(".0")) for count in counts if _is_count(count)]
    if len(known) == 2:
        return known[0], known[1], False
    prompt = json.dumps(body.get("messages"))
    return len(prompt) // BYTES_PER_TOKEN, -(-len(text.encode()) // BYTES_PER_TOKEN), True


def _is_count(value: Any) -> bool:
    """Whether it is a number of tokens: whole, and not beyond any answer."""
    whole = type(value) is int or (type(value) is float and value.is_integer())
    return whole and 0 <= value <= MOST_TOKENS
