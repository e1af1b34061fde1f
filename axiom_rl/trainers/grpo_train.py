"""One training of an adapter by GRPO: rollouts, steps, rows of metrics, checkpoints, resume.

A checkpoint is TRL's folder and, written last, axiom_state.json: how many rows metrics.jsonl had,
which phases were finished and what the curriculum had learnt. A stopped run goes on from the newest
whole checkpoint whose rows are all on disk; everything later is cut off first.
"""

from __future__ import annotations

import gc
import logging
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import PeftModel
from transformers import (
    PreTrainedTokenizerBase,
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from axiom_rl import rewards
from axiom_rl.config import GrpoConfig, ModelConfig, TransformersSamplerConfig
from axiom_rl.errors import AxiomError
from axiom_rl.evaluation.blocks import duration
from axiom_rl.evaluation.measure import Scene
from axiom_rl.files import read_json, read_jsonl, write_json, write_jsonl
from axiom_rl.models.load import load_model
from axiom_rl.models.lora import load_adapter, new_lora, save_adapter
from axiom_rl.models.merged import MergedCopy, leave_inputs_in_bfloat16
from axiom_rl.models.source import ResolvedModel
from axiom_rl.problems.curriculum import Curriculum
from axiom_rl.sampler import Sampler
from axiom_rl.sampler.transformers import TransformersSampler
from axiom_rl.tracking import read_metrics
from axiom_rl.trainers.groups import Batch, GroupSource
from axiom_rl.trainers.grpo_args import groups_per_batch, grpo_config
from axiom_rl.trainers.grpo_trainer import PackedGRPOTrainer, Spent, check_gap
from axiom_rl.types import Problem

log = logging.getLogger(__name__)

STATE = "axiom_state.json"
ITERATION = 1
"""GRPO goes round once: its adapter is that of iteration 1."""

Evaluate = Callable[[int, Callable[[], Sampler]], None]
"""Called with a step and a loader of the model as it is then."""


def train_grpo(
    scene: Scene,
    model_config: ModelConfig,
    resolved: ResolvedModel,
    trainer: GrpoConfig,
    problems: Sequence[Problem],
    evaluate: Evaluate,
) -> str:
    """Train an adapter on `problems` and return its folder; `model.adapter` is where it starts.

    Raises:
        AxiomError: if sampler and trainer disagree, or a checkpoint is damaged.
    """
    run = scene.run
    folder = run.folder / "checkpoints" / f"iter_{ITERATION}"
    target = folder / "adapter"
    if run.is_finished(f"train/{ITERATION}"):
        return str(target)
    shutil.rmtree(target, ignore_errors=True)
    with run.timed("train", ITERATION) as columns:
        curriculum = Curriculum(problems, trainer.curriculum, scene.seed)
        checkpoint = _cut_back(scene, folder, curriculum)
        torch.manual_seed(scene.seed)
        base, tokenizer = load_model(resolved, model_config)
        policy = _Policy(base, tokenizer, scene, trainer, resolved, model_config.quantization)
        if model_config.adapter is None:
            policy.model = new_lora(base, model_config.lora)
        else:
            policy.model = load_adapter(base, model_config.adapter, resolved, trainable=True)
        if policy.merges and policy.model.dtype == torch.bfloat16:
            leave_inputs_in_bfloat16(policy.model)
        session = _Session(scene, trainer, curriculum, policy, folder, evaluate)
        columns["steps"] = session.train(checkpoint)
        columns["tokens"] = sum(
            row.get("tokens", 0) for row in read_metrics(run.folder) if row["phase"] == "train"
        )
        save_adapter(policy.model, target, resolved)
    del policy, session, base
    gc.collect()
    run.finish(f"train/{ITERATION}")
    for old in folder.glob("checkpoint-*"):
        shutil.rmtree(old)
    return str(target)


class _Policy:
    """The model that trains, and a sampler of it as it is now."""

    model: PeftModel

    def __init__(
        self,
        base: Any,
        tokenizer: PreTrainedTokenizerBase,
        scene: Scene,
        trainer: GrpoConfig,
        resolved: ResolvedModel,
        quantization: str,
    ) -> None:
        """Copy what samples before an adapter is put on `base`, unless vLLM has weights of its own.

        4-bit weights cannot be merged.
        """
        if not isinstance(scene.sampler, TransformersSamplerConfig):
            raise AxiomError(
                f"trainer=grpo samples with sampler=transformers or sampler=vllm, not with "
                f"{scene.sampler.backend}"
            )
        self.tokenizer = tokenizer
        self._resolved = resolved
        self._engine = scene.load_sampler if scene.sampler.backend == "vllm" else None
        self.merges = quantization != "4bit"
        self._copy = MergedCopy(base) if self.merges and self._engine is None else None
        self._config = scene.sampler
        self._rollouts = replace(
            scene.sampler,
            temperature=float(trainer.args["temperature"]),
            top_p=1.0,
            max_new_tokens=int(trainer.args["max_completion_length"]),
        )

    @contextmanager
    def sampler(self, *, training: bool) -> Iterator[Sampler]:
        """Give a sampler with the settings of training or of evaluation."""
        config = self._rollouts if training else self._config
        if self._engine is not None:
            with tempfile.TemporaryDirectory(prefix="axiom-rl-") as folder:
                adapter = Path(folder) / "adapter"
                save_adapter(self.model, adapter, self._resolved)
                yield self._engine(str(adapter), config)
            return
        if self._copy is not None:
            self._copy.sync(self.model)
            yield TransformersSampler(self._copy.model, self.tokenizer, config)
            return
        was_training = self.model.training
        self.model.eval()
        try:
            unmerged: Any = self.model.get_base_model()
            yield TransformersSampler(unmerged, self.tokenizer, config)
        finally:
            self.model.train(was_training)


class _Session(TrainerCallback):
    """What happens around the steps of one training."""

    def __init__(
        self,
        scene: Scene,
        trainer: GrpoConfig,
        curriculum: Curriculum,
        policy: _Policy,
        folder: Path,
        evaluate: Evaluate,
    ) -> None:
        self._scene, self._config = scene, trainer
        self._curriculum, self._policy, self._evaluate = curriculum, policy, evaluate
        self._folder = folder
        self._args = grpo_config(trainer.args, policy.model, folder, scene.seed)
        self._batch: Batch | None = None
        self._since = time.monotonic()
        self._step_seconds = 0.0
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="You are using 'rollout_func'")
            self._trainer = PackedGRPOTrainer(
                model=policy.model,
                args=self._args,
                reward_funcs=_reward_of_row,
                train_dataset=Dataset.from_dict({"prompt": [""] * groups_per_batch(self._args)}),
                processing_class=policy.tokenizer,
                rollout_func=self._rollouts,
                callbacks=[self],
                on_checkpoint=self._save,
            )
        self._trainer.remove_callback(PrinterCallback)  # our own lines say the same

    def train(self, checkpoint: str | None) -> int:
        """Train from a checkpoint or from the start; return the number of the last step."""
        self._since = time.monotonic()
        self._trainer.train(resume_from_checkpoint=checkpoint)
        self._policy.model.eval()
        return int(self._trainer.state.global_step)

    def _rollouts(self, prompts: Sequence[Any], trainer: PackedGRPOTrainer) -> dict[str, Any]:
        """Be TRL's rollout_func: choose the problems, and return the tokens of all their samples.

        `prompts` are placeholders, one for each sample: the dataset of TRL cannot know the
        curriculum.
        """
        size = int(self._config.args["num_generations"])
        with self._policy.sampler(training=True) as sampler:
            source = GroupSource(
                self._config,
                self._curriculum,
                sampler=lambda: sampler,
                verifier=self._scene.verifier,
                reward=rewards.get(self._config.reward),
                style=self._scene.style,
                seed=self._scene.seed,
                group_size=size,
                max_length=int(self._config.args["max_completion_length"]),
                completions=self._scene.run.folder / "completions" / "grpo.jsonl",
            )
            batch = source.draw(trainer.state.global_step + 1, len(prompts) // size)
        self._batch = batch
        rows = [item.completion for group in batch.used for item in group.rollouts]
        return {
            "prompt_ids": [list(row.prompt_ids) for row in rows],
            "completion_ids": [list(row.token_ids) for row in rows],
            "logprobs": [list(row.logprobs) for row in rows],
            "row_reward": [reward for group in batch.used for reward in group.rewards],
        }

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Stop the step's clock."""
        self._step_seconds = time.monotonic() - self._since

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Write the step's row, check the gap, and evaluate if it is time to."""
        if logs is None or "loss" not in logs:
            return
        spent, self._trainer.spent = self._trainer.spent, Spent()
        row = self._row(state.global_step, logs, spent)
        self._scene.run.tracker.log("train", ITERATION, **row)
        _say(row, state)
        self._batch = None
        check_gap(spent.gap, self._config.max_logprob_gap)
        every = self._config.eval_every
        if every and state.global_step % every == 0 and state.global_step < state.max_steps:
            with self._policy.sampler(training=False) as sampler:
                self._evaluate(state.global_step, lambda: sampler)
        self._since = time.monotonic()

    def _row(self, step: int, logs: dict[str, float], spent: Spent) -> dict[str, Any]:
        drawn = self._batch.numbers() if self._batch else {}
        sampling = self._batch.seconds if self._batch else 0.0
        known = {"loss": "loss", "grad_norm": "grad_norm", "entropy": "entropy", "kl": "kl"}
        known |= {"learning_rate": "learning_rate", "clip_share": "clip_ratio/region_mean"}
        rest = self._step_seconds - sampling - spent.training_seconds
        return {
            "step": step,
            **{name: float(logs[key]) for name, key in known.items() if logs.get(key) is not None},
            "logprob_gap": spent.gap.mean,
            "logprob_gap_max": spent.gap.largest,
            **drawn,
            **self._curriculum.summary(),
            "seconds": round(self._step_seconds, 3),
            "training_seconds": round(spent.training_seconds, 3),
            "rest_seconds": round(rest, 3),
        }

    def _save(self, checkpoint: Path) -> None:
        """Complete a checkpoint that TRL has written."""
        _write_state(self._scene, checkpoint, self._trainer.state.global_step, self._curriculum)
        self._scene.run.save_state()


def _reward_of_row(row_reward: Sequence[float | None], **_columns: Any) -> list[float | None]:
    """Hand over the rewards that came with the rollouts."""
    return list(row_reward)


def _say(row: dict[str, Any], state: TrainerState) -> None:
    left = (state.max_steps - state.global_step) * row["seconds"]
    reward, passed = row.get("reward"), row.get("pass_rate")
    known = reward is not None and passed is not None
    log.info(
        "step %d of %d: %s%s (sampling %s, training %s); about %s left",
        state.global_step,
        state.max_steps,
        f"reward {reward:.3f}, {passed:.0%} passed, " if known else "",
        duration(row["seconds"]),
        duration(row.get("generation_seconds", 0)),
        duration(row["training_seconds"]),
        duration(left),
    )


def _write_state(scene: Scene, folder: Path, step: int, curriculum: Curriculum) -> None:
    state = {
        "schema": 1,
        "step": step,
        "metrics_rows": scene.run.tracker.rows,
        "finished": list(scene.run.finished),
        "curriculum": curriculum.state(),
    }
    write_json(folder / STATE, state)


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    folder: Path
    state: dict[str, Any]


def _cut_back(scene: Scene, folder: Path, curriculum: Curriculum) -> str | None:
    """Go back to the newest usable checkpoint; return TRL's folder of it, None for the start."""
    start = folder / "checkpoint-0"  # where the phases before training ended; TRL never writes it
    whole = list(_whole(folder, scene.run.tracker.rows))
    if not whole:
        _write_state(scene, start, 0, curriculum)
        scene.run.save_state()
        _remove_later(scene, 0)
        return None
    last = max(whole, key=lambda item: int(item.state["step"]))
    step = int(last.state["step"])
    curriculum.restore(last.state["curriculum"])
    scene.run.tracker.cut_back(int(last.state["metrics_rows"]))
    scene.run.finished[:] = last.state["finished"]
    _remove_later(scene, step)
    scene.run.save_state()
    for newer in folder.glob("checkpoint-*"):
        if int(newer.name.rpartition("-")[2]) > step:
            shutil.rmtree(newer)
    log.info("training goes on after step %d", step)
    return str(last.folder) if step else None


def _whole(folder: Path, rows: int) -> Iterator[_Checkpoint]:
    """Yield the checkpoints written to their end whose rows of metrics are all there."""
    for path in folder.glob("checkpoint-*"):
        if (path / STATE).exists():
            state = read_json(path / STATE)
            if int(state["metrics_rows"]) <= rows:
                yield _Checkpoint(path, state)


def _remove_later(scene: Scene, step: int) -> None:
    """Remove completions and evaluations of steps after `step`."""
    folder = scene.run.folder
    completions = folder / "completions" / "grpo.jsonl"
    if completions.exists():
        kept = [row for row in read_jsonl(completions) if int(row["step"]) <= step]
        write_jsonl(completions, kept)
    for kind, suffix in (("completions", "jsonl"), ("evaluation", "json")):
        for path in (folder / kind).glob(f"step_*.{suffix}"):
            if int(path.stem.removeprefix("step_")) > step:
                path.unlink()
