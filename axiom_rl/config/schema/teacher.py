"""The schema of conf/teacher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING


@dataclass
class TeacherConfig:
    """Who writes traces (reasoning and program) of the problems that a student fails."""

    kind: str = MISSING
    """local, api or file."""
    max_pass_rate: float = MISSING
    """Problems of which the student passes at most this share of its samples are asked."""
    samples: int = MISSING
    """Answers per problem at most; a problem with enough right ones is asked no more."""
    traces_per_problem: int = MISSING
    """Right traces of a problem that are enough, and kept."""
    max_traces: int | None = MISSING
    """Right traces of all problems after which asking stops; null means no limit."""
    min_yield: float = MISSING
    """Share of right answers below which the stage stops and says what to try."""
    judged_after: int = MISSING
    """Answers after which that share is looked at for the first time."""
    check: str = MISSING
    """Comparison of the answers with HumanEval and MBPP: always (an error where they cannot be
    had), auto (what could not be compared is said in log and report) or never."""
    check_files: list[str] = MISSING
    """Benchmark files (JSONL) for `check`; empty means an installed package and the hub."""


@dataclass
class LocalTeacherConfig(TeacherConfig):
    """A model of this project, loaded once the student has made room for it."""

    model: str = MISSING
    """An option of conf/model, or a path like model.path."""
    adapter: str | None = MISSING
    """Folder of a LoRA adapter on the teacher."""
    reasoning: str = MISSING
    """before: the answer is reasoning inside <think> tags, then the program. after: the program
    alone, and the teacher is asked for the reasoning behind each right one that is kept."""
    backend: str = MISSING
    """auto, transformers or vllm, with the settings of conf/sampler."""
    temperature: float = MISSING
    """0 means greedy, so that every further answer is the same."""
    top_p: float = MISSING
    """Draw from the likeliest tokens that make up this share; 1 means all."""
    max_new_tokens: int = MISSING
    """Longest answer, reasoning included, in tokens."""
    dtype: str = MISSING
    """auto, bfloat16 or float32."""
    quantization: str = MISSING
    """none or 4bit (on a GPU)."""
    device: str = MISSING
    """auto, cuda, mps or cpu."""


@dataclass
class ApiTeacherConfig(TeacherConfig):
    """A chat endpoint with OpenAI's interface; it gives text alone."""

    url: str | None = MISSING
    """Address up to the version, e.g. https://api.openai.com/v1, without user, password or key.
    Needed; null is an error."""
    name: str | None = MISSING
    """Name of the model there. Needed; null is an error."""
    key_env: str | None = MISSING
    """Environment variable that holds the key, such as OPENAI_API_KEY; null means no key."""
    reasoning: str = MISSING
    """before: the answer is reasoning inside <think> tags, then the program. after: the program
    alone, and the teacher is asked for the reasoning behind each right one that is kept."""
    temperature: float | None = MISSING
    """null leaves it to the endpoint, as some models demand."""
    max_tokens: int = MISSING
    """Longest answer, reasoning included, in tokens; sent as max_tokens, unless `extra` has
    max_completion_tokens."""
    extra: dict[str, Any] = MISSING
    """Further fields of each request, verbatim, e.g. +teacher.extra.reasoning_effort=low."""
    in_flight: int = MISSING
    """Requests open at the same time at most."""
    timeout_s: float = MISSING
    """Seconds that one request may take, from its start to its last byte."""
    retries: int = MISSING
    """Further tries of a request that failed, with growing waits or those that the endpoint asks
    for."""
    max_cost: float | None = MISSING
    """Money that all answers may cost, in the unit of the prices; null means no limit."""
    price_in: float = MISSING
    """Price of a million tokens of prompts."""
    price_out: float = MISSING
    """Price of a million tokens of answers."""
    cache: str | None = MISSING
    """Folder of the answers that were paid for, which are never asked for again; null means
    teacher/ in this project's cache."""


@dataclass
class FileTeacherConfig(TeacherConfig):
    """Traces that somebody has, judged like all others."""

    traces: str | None = MISSING
    """JSONL file: problem_id, and text (the whole answer) or reasoning and solution_code. Needed;
    null is an error."""
