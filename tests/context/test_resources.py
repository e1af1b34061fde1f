"""What a phase of a run needs: the widest batch that its options allow."""

from __future__ import annotations

import pytest

from axiom_rl.config import load_config
from axiom_rl.context.resources import PROMPT_TOKENS, _training_work, check_context
from axiom_rl.core.errors import AxiomError
from axiom_rl.models.memory import CHUNK, PASS_TOKENS
from axiom_rl.models.weights.source import ResolvedModel


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


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("stage=evaluate", "sampler.max_new_tokens=1024"), "sampler.max_new_tokens=1024: tiny"),
        (("trainer=grpo", "trainer.args.max_completion_length=2000"), "max_completion_length=2000"),
        (("stage=evaluate", "sampler.max_new_tokens=1023"), ""),
        (("stage=export", "sampler.max_new_tokens=9999"), ""),
    ],
)
def test_answers_longer_than_the_context_are_refused_before_the_model_is_loaded(
    options: tuple[str, ...], said: str, resolved: ResolvedModel
) -> None:
    if not said:
        return check_context(load_config(*options), resolved)
    with pytest.raises(AxiomError, match=f"{said}.* such as .*=512$"):
        check_context(load_config(*options), resolved)


@pytest.mark.parametrize(
    ("rows", "length", "prompts"),
    [(4, 320, 1), (8, 320, 1), (16, 100, 2), (1, 40, 1)],  # groups of eight
)
def test_grpo_needs_the_answers_of_a_micro_batch_and_each_prompt_once(
    rows: int, length: int, prompts: int
) -> None:
    config = load_config(
        *("trainer=grpo", f"trainer.args.per_device_train_batch_size={rows}"),
        *(f"trainer.args.max_completion_length={length}", "sampler.max_new_tokens=2000"),
    )
    work = _training_work(config, 9999, engine=False)
    assert work.rows * work.tokens == rows * length + prompts * PROMPT_TOKENS
    assert work.rows * work.logit_tokens == min(CHUNK, rows * length)
    assert work.merged_copy and not work.copied_inputs
