"""Where a run's numbers come from: model, machine, versions, and the command that made them."""

from __future__ import annotations

import json
from typing import Any

from axiom_rl.report.blocks import Block, Code, Section, Table, Text, harmless
from axiom_rl.report.run_folder import RunFolder


def provenance_section(run: RunFolder) -> Section:
    """Model (source, format, hash), sampler, hardware, commit, isolation, command."""
    environment = run.sessions[-1] if run.sessions else {}
    evaluation = run.after or run.before
    model = environment.get("model") or (dict(evaluation.model) if evaluation else {})
    rows = [
        ("command", environment.get("command")),
        ("started", environment.get("started")),
        ("model", model.get("name")),
        ("hub id", model.get("hub_id")),
        ("source", model.get("source")),
        ("format", model.get("format")),
        ("revision", model.get("revision")),
        ("SHA-256 of the weights", model.get("sha256")),
        ("chat template", _given(model.get("chat_template"))),
        ("values of the chat template", _pairs(model.get("chat_template_kwargs") or {})),
        ("adapter", evaluation.model.get("adapter") if evaluation else None),
        ("sampler", _pairs(dict(evaluation.sampler)) if evaluation else None),
        ("seed", environment.get("seed")),
        ("sandbox isolation", environment.get("isolation")),
        ("git commit", _commit(environment)),
        ("processor", environment.get("cpu")),
        ("cores", environment.get("cores")),
        ("memory", _gigabytes(environment.get("memory_gb"))),
        ("GPU", environment.get("gpu") or ("none" if environment else None)),
        ("Python", environment.get("python")),
        ("platform", environment.get("platform")),
    ]
    cells = [[name, str(value)] for name, value in rows if value not in (None, "")]
    blocks: list[Block] = [Table(["", ""], cells, left=True)] if cells else []
    return Section("Model, machine, command", [*blocks, *_session_blocks(run.sessions)])


def _session_blocks(sessions: list[dict[str, Any]]) -> list[Block]:
    """List the starts of a run that was resumed, and warn where they were not alike."""
    if len(sessions) < 2:
        return []
    named: dict[str, list[Any]] = {
        "git commit": [_commit(session) for session in sessions],
        "packages": [_pairs(session.get("packages", {})) for session in sessions],
        "Python": [session.get("python") for session in sessions],
        "processor": [session.get("cpu") for session in sessions],
        "GPU": [session.get("gpu") for session in sessions],
    }
    unlike = {name: values for name, values in named.items() if len(set(values)) > 1}
    blocks: list[Block] = [
        Text(f"The run was started {len(sessions)} times; above stands its last start.")
    ]
    if unlike:
        blocks = [Text(f"The starts of this run differ in: {', '.join(unlike)}.", warning=True)]
    columns = [[str(session.get("started", "")) for session in sessions], *unlike.values()]
    columns.append([str(session.get("command", "")) for session in sessions])
    rows = [[str(value) for value in row] for row in zip(*columns, strict=True)]
    return [*blocks, Table(["started", *unlike, "command"], rows, left=True)]


def changes_section(run: RunFolder) -> Section:
    """What was typed at each start; nothing in folders of versions that did not record it."""
    title = "Changes from the defaults"
    started = [s for s in run.sessions if "overrides" in s]
    if not started:
        return Section(title, [])
    options = _pairs(started[0]["options"])
    blocks: list[Block] = [Text(f"Options: {options}.")] if options else []
    rows = [
        [str(session["started"]), *typed.partition("=")[::2]]
        for session in started
        for typed in session["overrides"]
    ]
    if not rows:
        return Section(title, [*blocks, Text("Nothing was typed: every value is the default.")])
    return Section(title, [*blocks, Table(["started", "typed", "value"], rows, left=True)])


def raw_section(run: RunFolder) -> Section:
    """The whole configuration and environment, folded."""
    blocks: list[Block] = []
    if run.config:
        blocks.append(Code("Configuration (config.yaml)", harmless(run.config)))
    if run.sessions:
        text = json.dumps(run.sessions, indent=2, ensure_ascii=False)
        blocks.append(Code("Environment (environment.json)", harmless(text)))
    return Section("Configuration and environment", blocks)


def _commit(environment: dict[str, Any]) -> str | None:
    commit = environment.get("git_commit")
    if not commit:
        return None
    return f"{commit} (with uncommitted changes)" if environment.get("git_dirty") else str(commit)


def _given(template: str | None) -> str | None:
    return f"model.chat_template, SHA-256 {template[:12]}…" if template else None


def _gigabytes(value: object) -> str | None:
    return f"{value:.1f} GB" if isinstance(value, int | float) else None


def _pairs(settings: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in settings.items())
