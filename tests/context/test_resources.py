"""What a phase of a run needs: the widest batch that its options allow."""

from __future__ import annotations

import pytest

from axiom_rl.config import load_config
from axiom_rl.context.resources import _training_work
from axiom_rl.trainers.sft.trainer import PASS_TOKENS


@pytest.mark.parametrize(
    ("options", "tokens"),
    [
        ((), PASS_TOKENS),
        (("trainer.args.per_device_train_batch_size=1",), 320 + 256),
        (("sampler.max_new_tokens=512",), 512 + 256),
        (("sampler.max_new_tokens=2000", "trainer.args.max_length=4000"), 2000 + 256),
        (("trainer.args.max_length=50",), 8 * 50),
    ],
)
def test_fine_tuning_needs_a_pass_and_not_a_batch(options: tuple[str, ...], tokens: int) -> None:
    config = load_config("trainer=sft", "sampler.max_new_tokens=320", *options)
    longest = config.sampler.max_new_tokens + 256
    assert _training_work(config, longest, engine=False).tokens == tokens
