"""Between two steps of TRL's trainers: what is logged, and the checkpoints that are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR


class AfterSteps(TrainerCallback):
    """Calls `logged` with the numbers of each step and `saved` with each checkpoint's folder."""

    def logged(self, state: TrainerState, logs: dict[str, float]) -> None:
        """Write down a step that TRL logs; its loss is among the numbers."""
        raise NotImplementedError

    def saved(self, checkpoint: Path) -> None:
        """Complete the checkpoint that transformers has written."""
        raise NotImplementedError

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Leave out what is logged once at the end, which is no step."""
        if logs is not None and "loss" in logs:
            self.logged(state, logs)

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Name the folder."""
        self.saved(Path(str(args.output_dir)) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}")
