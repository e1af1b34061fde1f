"""What the child process of vLLM says and does, without vLLM: `python -m fake_engine FD LIFELINE`.

Each text is three tokens: its sample, its adapter's mark, and the end. What goes wrong is told by
the environment variable FAKE: import, start, die, kill, hang or nothing; FAKE_CONTEXT is what the
engine has room for.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

from axiom_rl.sampling.engine.protocol import Adapter, Ask, EndedSample, News, Ready

FAULT = os.environ.get("FAKE", "")
MOST_AT_ONCE = 4


def end_with_parent(lifeline: int) -> None:
    os.read(lifeline, 1)
    os._exit(0)


def answer(ask: Ask, mark: int, channel: Connection) -> None:
    texts = list(ask.texts)
    while texts:
        if channel.poll():
            channel.recv()
            break
        now, texts = texts[:MOST_AT_ONCE], texts[MOST_AT_ONCE:]
        if FAULT == "die" and not texts:
            raise RuntimeError("no room for 12.5 GiB of keys")
        if FAULT == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if FAULT == "hang":
            time.sleep(60)
        samples = [
            EndedSample(
                key=text.key,
                token_ids=(5 + int(text.key.split("/")[1]), mark, ask.stop[0]),
                logprobs=(-ask.temperature, -ask.top_p, -1.0),
                stopped=True,
            )
            for text in now
        ]
        channel.send(News(samples=tuple(samples), tokens=3 * len(samples), end=False))
    channel.send(News(samples=(), tokens=0, end=True))


def main() -> None:
    channel = Connection(int(sys.argv[1]))
    threading.Thread(target=end_with_parent, args=(int(sys.argv[2]),), daemon=True).start()
    if FAULT == "import":
        raise RuntimeError("operator torchvision::nms does not exist")
    channel.send("engine")
    settings = channel.recv()
    if FAULT == "start":
        raise ValueError(f"cache of {settings.cache_bytes} bytes is more than is free")
    context = int(os.environ.get("FAKE_CONTEXT", settings.context))
    channel.send(Ready(context=context))
    mark = 100
    while True:
        match channel.recv():
            case Adapter() as message:
                mark = 100
                if message.folder:
                    mark += (Path(message.folder) / "adapter_model.safetensors").stat().st_size % 97
                channel.send("used")
            case Ask() as ask:
                answer(ask, mark, channel)
            case "rest":
                channel.send("rested")


if __name__ == "__main__":
    main()
