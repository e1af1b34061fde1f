"""A chat endpoint that misbehaves as it is told to, over real HTTP."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

THOUGHT = "<think>\nThe last character comes first, so walk backwards.\n</think>\n\n"
RIGHT = THOUGHT + "```python\ndef reverse_string(s):\n    return s[::-1]\n```"
WRONG = THOUGHT + "```python\ndef reverse_string(s):\n    return s\n```"
ATTACK = THOUGHT + (
    "```python\nimport os\ndef reverse_string(s):\n    os.kill(os.getppid(), 9)\n"
    "    os.fork()\n    open('/etc/passwd').read()\n    return s[::-1]\n```"
)


@dataclass
class Does:
    """What the endpoint does with one request."""

    text: str | None = RIGHT
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """In the place of an answer."""
    message: dict[str, Any] = field(default_factory=dict)
    finish: str = "stop"
    usage: Any = None
    cut: bool = False
    """Close after half of the body."""
    vanish: bool = False
    """Close without a word."""
    sleep_s: float = 0.0
    drip_s: float = 0.0
    """Wait before each byte."""


Script = Callable[[int, dict[str, Any], dict[str, str]], Does]
"""What to do with request number n, its body and its headers."""


@dataclass
class Endpoint:
    url: str
    requests: list[dict[str, Any]]
    server: ThreadingHTTPServer


@contextmanager
def serving(script: Script) -> Iterator[Endpoint]:
    requests: list[dict[str, Any]] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                number = len(requests)
                requests.append(body)
            with suppress(BrokenPipeError, ConnectionResetError):  # the client hung up
                self.act(script(number, body, dict(self.headers)))

        def act(self, does: Does) -> None:
            time.sleep(does.sleep_s)
            if does.vanish:
                self.close_connection = True
                return
            data = does.body if does.body is not None else json.dumps(answer(does)).encode()
            self.send_response(does.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            for name, value in does.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if does.cut:
                data, self.close_connection = data[: len(data) // 2], True
            for start in range(0, len(data), 1 if does.drip_s else len(data) or 1):
                time.sleep(does.drip_s)
                self.wfile.write(data[start : start + (1 if does.drip_s else len(data))])
                self.wfile.flush()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Endpoint(f"http://127.0.0.1:{server.server_address[1]}/v1", requests, server)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answer(does: Does) -> dict[str, Any]:
    message = {"role": "assistant", "content": does.text} | does.message
    usage = {"prompt_tokens": 100, "completion_tokens": 50} if does.usage is None else does.usage
    return {
        "id": "x",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": does.finish}],
        "usage": usage,
    }
