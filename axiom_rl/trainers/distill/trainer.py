"""trl.DistillationTrainer with samples of our own.

One private method is overridden, `_generate_single_turn`: the student is sampled by the run's
sampler, seeded by problem and step, so that a resumed run draws what it would have drawn.
tests/trainers/test_distill.py compares its signature. TRL's card is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from trl.trainer.distillation_config import DistillationConfig
from trl.trainer.distillation_trainer import DistillationTrainer

Draw = Callable[[int, Sequence[Sequence[int]]], list[list[int]]]
"""Called with the step, from 1, and prompts as token ids; returns a completion of each."""


class StudentTrainer(DistillationTrainer):
    """See the module."""

    args: DistillationConfig
    model: Any

    def __init__(self, *args: Any, draw: Draw, **kwargs: Any) -> None:
        """Take what trl.DistillationTrainer takes, and what samples the student."""
        super().__init__(*args, **kwargs)
        self._draw = draw

    def create_model_card(self, *_args: Any, **_options: Any) -> None:
        """Leave TRL's card out: it names a folder of this machine; an adapter has one of ours."""

    def _generate_single_turn(
        self,
        prompt_ids: Any,
        images: Any,
        multimodal_fields: Any,
        has_tool_images: bool = False,
    ) -> list[list[int]]:
        return self._draw(self.state.global_step + 1, prompt_ids)
