"""A copy of metrics.jsonl for W&B, row by row, with the row's number as its step.

Nothing that W&B does can stop, question or long delay a run: without a login or a network it
records offline, and its first error ends the copy and not the run. This is the only module
that imports wandb, and only when it is chosen.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import math
import netrc
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from axiom_rl.config import WandbConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, read_jsonl, write_json
from axiom_rl.run.tracking.metrics import SCHEMA, Phase, Tracker, read_metrics

INIT_S, FINISH_S = 20.0, 120.0
"""Longest waits for W&B's start, before recording offline, and for its last uploads."""
TABLE_ROWS = 2000
"""Completions in one W&B table at most, evenly spread; all are in completions/*.jsonl."""
TABLE_COLUMNS = (
    "step",
    "reward",
    "problem_id",
    "sample",
    "text",
    "truncated",
    "completion_tokens",
    "hidden_status",
    "hidden_fraction",
    "fresh_status",
    "fresh_fraction",
)
log = logging.getLogger(__name__)


class WandbTracker(Tracker):
    """Copies the rows to W&B, and at the end the completions, the report and the adapter."""

    def __init__(self, folder: Path, config: WandbConfig, settings: Mapping[str, Any]) -> None:
        """Prepare; W&B itself starts with the first row.

        Args:
            folder: the run folder; its wandb.json keeps the id that a resumed run goes on with.
            config: project, entity, group and mode.
            settings: the run's whole configuration, shown by W&B.

        Raises:
            AxiomError: if wandb is not installed, or the mode is unknown.
        """
        check_wandb(config)
        super().__init__(folder)
        self.config = config
        self.settings = dict(settings)
        self.run: Any = None
        self.working = True

    def log(self, phase: Phase, iteration: int, **numbers: Any) -> None:
        """Append one row to metrics.jsonl, then copy it to W&B."""
        super().log(phase, iteration, **numbers)
        self._attempt(self._copy_last if self.run else self._start)

    def close(self) -> None:
        """Publish the run folder's results; waits at most two minutes for uploads."""
        if self.run:
            self._attempt(self._publish)
            self._attempt(self._finish)

    def _attempt(self, action: Callable[[], None]) -> None:
        """Do something with W&B; its first error ends the copy and never the run."""
        if not self.working:
            return
        try:
            action()
        except Exception:  # wandb's errors share no base class, and several are private
            self.working = False
            message = "W&B failed and is left out from here on; metrics.jsonl goes on"
            log.warning(message, exc_info=True)

    def _start(self) -> None:
        """Open the W&B run and copy every row that it has not had.

        W&B cannot go on with an offline run: each offline folder replaces what was synced under its
        id. So an offline folder gets all rows from the first on, and only the last one is synced.
        """
        wandb = importlib.import_module("wandb")
        logging.getLogger("wandb").propagate = False  # its own debug.log has what it says
        server = wandb.setup().settings.base_url
        online = self.config.mode != "offline" and has_login(server)
        if self.config.mode == "online" and not online:  # W&B would ask for one and wait
            log.warning("no login at %s (wandb login makes one); recording offline", server)
        try:
            self.run = self._open("online" if online else "offline")
        except wandb.Error as error:
            log.warning("W&B cannot be used online (%s); recording offline", error)
            wandb.teardown()  # else the failed start still holds the run's id
            self.run = self._open("offline")
        for phase in ("evaluate", "collect", "train", "timing"):
            self.run.define_metric(f"{phase}/*", step_metric=f"{phase}/iteration")
        self.run.define_metric("train/*", step_metric="train/step")
        for step, row in enumerate(read_metrics(self.folder)):
            self._send(step, row)

    def _open(self, mode: str) -> Any:
        wandb = importlib.import_module("wandb")
        return wandb.init(
            project=self.config.project,
            entity=self.config.entity,
            group=self.config.group or sweep_of(self.folder),
            name="/".join(self.folder.resolve().parts[-2:]),
            id=self._run_id(),
            resume="allow" if mode == "online" else None,
            dir=str(self.folder),
            config=self.settings,
            mode=mode,
            settings=wandb.Settings(
                init_timeout=INIT_S, finish_timeout=FINISH_S, console="off", silent=True
            ),
        )

    def _run_id(self) -> str:
        path = self.folder / "wandb.json"
        if not path.exists():
            write_json(path, {"schema": SCHEMA, "run_id": secrets.token_hex(4)})
        return str(read_json(path)["run_id"])

    def _copy_last(self) -> None:
        self._send(self.rows - 1, read_metrics(self.folder)[-1])

    def _send(self, step: int, row: Mapping[str, Any]) -> None:
        if step < self.run.step:
            return  # a resumed online run has this row already
        labels = ("phase", "of", "split", "tests", "name")
        names = [str(row[key]) for key in labels if row.get(key) is not None]
        skipped = ("schema", "time", "iteration", *labels)
        values = {key: value for key, value in row.items() if key not in skipped}
        prefixed = dict(_flat("/".join(names), values))
        self.run.log(prefixed | {f"{names[0]}/iteration": row["iteration"]}, step=step)

    def _publish(self) -> None:
        """Send tables of the completions, and the report and the adapter as artifacts."""
        wandb = importlib.import_module("wandb")
        verdicts: list[list[Any]] = []
        for path in sorted((self.folder / "completions").glob("*.jsonl")):
            rows = [_table_row(row) for row in read_jsonl(path)]
            counts = Counter(tuple(row[-4::2]) for row in rows)
            verdicts += [[path.stem, *statuses, count] for statuses, count in counts.items()]
            shown = rows[:: math.ceil(len(rows) / TABLE_ROWS) or 1]
            table = wandb.Table(columns=list(TABLE_COLUMNS), data=shown)
            self.run.log({f"completions/{path.stem}": table})
        columns = ["phase", "hidden_status", "fresh_status", "samples"]
        self.run.log({"verdicts": wandb.Table(columns=columns, data=verdicts)})
        for name, kind, files in (
            ("report", "report", ("report.html", "report.md", "charts", "evaluation")),
            ("adapter", "model", ("adapter",)),
        ):
            present = [self.folder / file for file in files if (self.folder / file).exists()]
            if present:
                artifact = wandb.Artifact(f"{name}-{self.run.id}", type=kind)
                for path in present:
                    add = artifact.add_dir if path.is_dir() else artifact.add_file
                    add(str(path), name=path.name)
                self.run.log_artifact(artifact)

    def _finish(self) -> None:
        self.run.finish()
        if self.run.offline:
            importlib.import_module("wandb").teardown()  # waits until the file is written
            log.info("W&B recorded offline; to upload: wandb sync %s", self.run.sync_dir)
        else:
            log.info("W&B run: %s", self.run.url)


def check_wandb(config: WandbConfig) -> None:
    """Refuse what would make a tracked run one that is not, or another one than asked for.

    Raises:
        AxiomError: if wandb is not installed, or WANDB_MODE contradicts.
    """
    if importlib.util.find_spec("wandb") is None:
        raise AxiomError(
            "tracking=wandb needs the package wandb: pip install 'axiom-rl[wandb]', "
            "or use tracking=none"
        )
    wanted = os.environ.get("WANDB_MODE", config.mode).replace("dryrun", "offline")
    if wanted == "disabled" or os.environ.get("WANDB_DISABLED", "").lower() in ("true", "1"):
        raise AxiomError(
            "W&B is disabled in the environment (WANDB_MODE, WANDB_DISABLED): type tracking=none, "
            "or unset it"
        )
    if wanted != config.mode:
        raise AxiomError(
            f"WANDB_MODE={wanted} and tracking.mode={config.mode} are two answers: type "
            f"tracking.mode={wanted}, or unset WANDB_MODE"
        )


def has_login(server: str) -> bool:
    """Whether there is an API key for a W&B server, in the environment or in ~/.netrc."""
    return bool(os.environ.get("WANDB_API_KEY")) or _in_netrc(urlsplit(server).hostname or "")


def sweep_of(folder: Path) -> str | None:
    """Name the sweep that a job's folder (outputs/NAME_sweep/TIME/NUMBER) belongs to."""
    *_rest, name, time, job = folder.resolve().parts
    of_sweep = job.isdecimal() or (folder.resolve().parent / "command.json").is_file()
    return f"{name}/{time}" if of_sweep else None


def _in_netrc(host: str) -> bool:
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def _table_row(row: Mapping[str, Any]) -> list[Any]:
    verdicts = [(row.get(name) or {}) for name in ("hidden", "fresh")]
    plain = [row.get(name) for name in TABLE_COLUMNS[:-4]]
    return plain + [part for v in verdicts for part in (v.get("status"), v.get("pass_fraction"))]


def _flat(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Name every number by its path: `verdicts: {accepted: 3}` is `train/verdicts/accepted`."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}/{key}", value)
        else:
            yield f"{prefix}/{key}", value
