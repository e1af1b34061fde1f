"""Options of GRPO that do not go together are refused by name, before anything is loaded."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate.state import PartialState
from scripted_run import composed
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.sft_config import SFTConfig

from axiom_rl.config import GrpoConfig, load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.trainers.grpo.options import NEEDED, check_grpo, groups_per_batch, grpo_config
from axiom_rl.trainers.options import build_options


def config(*without: str, terms: dict[str, float] | None = None, **args: Any) -> GrpoConfig:
    """Return trainer=grpo with other options, and some of them left out."""
    trainer = composed(
        "trainer=grpo",
        "trainer.args.per_device_train_batch_size=8",
        "trainer.args.gradient_accumulation_steps=4",
    ).trainer
    assert isinstance(trainer, GrpoConfig)
    given = {key: value for key, value in (trainer.args | args).items() if key not in without}
    return replace(trainer, args=given, **(terms or {}))


def batch(**args: Any) -> GRPOConfig:
    made: GRPOConfig = build_options(
        GRPOConfig, config(**args).args | {"output_dir": "x", "bf16": False}
    )
    return made


def test_the_defaults_pass_and_are_left_as_they_are() -> None:
    trainer = config()
    before = copy.deepcopy(trainer)
    check_grpo(trainer)
    assert trainer == before
    assert groups_per_batch(batch()) == 4


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("learning_rates", "learning_rate"),
        ("num_generation", "num_generations"),
        ("max_completion_len", "max_completion_length"),
        ("Temperature", "temperature"),
        ("losstype", "loss_type"),
    ],
)
def test_unknown_options_are_named_with_what_was_meant(typo: str, meant: str) -> None:
    wanted = rf"trainer\.args\.{typo}: trl\.GRPOConfig has no such option; did you mean .*{meant}"
    with pytest.raises(AxiomError, match=wanted):
        check_grpo(config(**{typo: 1}))


def test_an_option_like_no_other_is_named_without_a_guess() -> None:
    with pytest.raises(AxiomError, match=r"trainer\.args\.qqqq: .* has no such option$"):
        check_grpo(config(qqqq=1))


@pytest.mark.parametrize("key", NEEDED)
@pytest.mark.parametrize("value", [0, -1, math.nan])
def test_needed_numbers_are_above_0(key: str, value: float) -> None:
    with pytest.raises(AxiomError, match=rf"trainer\.args.*({key}=|generation)"):
        check_grpo(config(**{key: value}))


@pytest.mark.parametrize("key", NEEDED)
def test_needed_numbers_are_there(key: str) -> None:
    with pytest.raises(AxiomError, match=rf"trainer\.args\.{key}=None: must be above 0"):
        check_grpo(config(key))


@pytest.mark.parametrize("value", ["8", "abc", None, True, [1], {"a": 1}])
@pytest.mark.parametrize("key", ["learning_rate", "num_generations", "max_steps", "beta"])
def test_numbers_are_numbers(key: str, value: Any) -> None:
    with pytest.raises(AxiomError, match=rf"trainer\.args\.{key}=.*must be a number"):
        check_grpo(config(**{key: value}))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((key, math.nan) for key in ("learning_rate", "beta", "epsilon", "max_grad_norm")),
        *((key, math.inf) for key in ("learning_rate", "beta")),
    ],
)
def test_numbers_are_finite(key: str, value: float) -> None:
    """A learning rate of NaN is found out one baseline and one step later, from a ruined model."""
    with pytest.raises(AxiomError, match=rf"trainer\.args\.{key}="):
        check_grpo(config(**{key: value}))


@pytest.mark.parametrize(
    "key", ["max_steps", "max_completion_length", "num_iterations", "num_generations"]
)
def test_counts_are_whole_numbers(key: str) -> None:
    with pytest.raises(AxiomError, match=rf"trainer\.args.*{key}"):
        check_grpo(config(**{key: 2.5, "save_steps": 10}))


@pytest.mark.parametrize(
    "key",
    [
        "num_iterations",
        "steps_per_generation",
        "gradient_accumulation_steps",
        "per_device_train_batch_size",
    ],
)
@pytest.mark.parametrize("value", [0, -1])
def test_counts_of_nothing_are_refused_and_no_traceback(key: str, value: int) -> None:
    with pytest.raises(AxiomError, match=r"trainer\.args"):
        check_grpo(config(**{key: value}))


@pytest.mark.parametrize(
    ("key", "value"),
    [("lr_scheduler_type", "constnat"), ("save_strategy", "step")],
)
def test_what_trl_refuses_is_passed_on(key: str, value: str) -> None:
    with pytest.raises(AxiomError, match=rf"^trainer\.args: trl\.GRPOConfig refuses.*{value}"):
        check_grpo(config(**{key: value}))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("loss_type", "drgrpo"),
        ("scale_rewards", "non"),
        ("importance_sampling_level", "word"),
    ],
)
def test_names_that_trl_looks_up_while_it_trains_are_refused_before(key: str, value: str) -> None:
    """TRL raises at the first loss, which is after the baseline and the first samples."""
    with pytest.raises(AxiomError, match=rf"trainer\.args\.{key}={value}"):
        check_grpo(config(**{key: value}))


# Terms beside the reward


@pytest.mark.parametrize("term", ["format_weight", "length_weight"])
@pytest.mark.parametrize("scale", ["group", "batch", True])
def test_small_terms_are_not_scaled_up(term: str, scale: Any) -> None:
    with pytest.raises(AxiomError, match=r"trainer\.args\.scale_rewards=(group|batch) .*weight"):
        check_grpo(config(terms={term: 0.1}, scale_rewards=scale))
    check_grpo(config(scale_rewards=scale))


@pytest.mark.parametrize("term", ["format_weight", "length_weight"])
def test_trls_own_scale_counts_where_none_is_given(term: str) -> None:
    with pytest.raises(AxiomError, match=r"trainer\.args\.scale_rewards=group"):
        check_grpo(config("scale_rewards", terms={term: 0.1}))
    check_grpo(config("scale_rewards"))


@pytest.mark.parametrize("scale", ["none", False])
def test_small_terms_without_scaling_are_fine(scale: Any) -> None:
    trainer = config(terms={"format_weight": 0.1, "length_weight": 0.1}, scale_rewards=scale)
    check_grpo(trainer)
    assert batch(scale_rewards=scale).scale_rewards == "none"


def test_terms_that_could_outweigh_a_test_are_refused_before_the_baseline() -> None:
    with pytest.raises(AxiomError, match=r"trainer\.format_weight and trainer\.length_weight"):
        check_grpo(config(terms={"format_weight": 0.6, "length_weight": 0.6}))


# Batches and checkpoints


@pytest.mark.parametrize(
    ("args", "multiple"),
    [
        ({"save_steps": 3, "num_iterations": 2}, 8),
        ({"save_steps": 5, "steps_per_generation": 8}, 8),
        ({"save_steps": 5, "generation_batch_size": 64}, 8),
        ({"save_steps": 2, "steps_per_generation": 6, "num_iterations": 2}, 12),
        ({"save_strategy": "no"}, 4),
        ({"save_strategy": "epoch"}, 4),
    ],
)
def test_a_checkpoint_falls_between_two_batches(args: dict[str, Any], multiple: int) -> None:
    wanted = rf"trainer\.args\.save_steps=\d+: .*must be a multiple of {multiple} "
    with pytest.raises(AxiomError, match=wanted):
        check_grpo(config(**args))


@pytest.mark.parametrize(
    "args",
    [
        {"save_steps": 1},
        {"save_steps": 4, "num_iterations": 2},
        {"save_steps": 1, "steps_per_generation": 2},
        {"save_steps": 3, "steps_per_generation": 6, "num_iterations": 2},
        {"save_steps": 2, "generation_batch_size": 64},
    ],
)
def test_checkpoints_between_batches_are_fine(args: dict[str, Any]) -> None:
    check_grpo(config(**args))
    made = batch(**args)
    assert made.steps_per_generation is not None
    micro_steps = int(made.save_steps) * made.gradient_accumulation_steps
    assert micro_steps % (made.steps_per_generation * made.num_iterations) == 0


@pytest.mark.parametrize("args", [{"num_iterations": 2}, {"steps_per_generation": 8}])
def test_a_share_of_the_steps_is_no_way_around(args: dict[str, Any]) -> None:
    """transformers takes save_steps=0.3 for 30 % of max_steps, here every third step."""
    with pytest.raises(AxiomError, match=r"trainer\.args\.save_steps=0\.3"):
        check_grpo(config(save_steps=0.3, max_steps=10, **args))


@pytest.mark.parametrize("limit", [1, 0, -1])
def test_one_whole_checkpoint_is_left_whatever_happens(limit: int) -> None:
    with pytest.raises(AxiomError, match=rf"trainer\.args\.save_total_limit={limit}: must be 2"):
        check_grpo(config(save_total_limit=limit))
    for fine in (2, 3, None):
        check_grpo(config(save_total_limit=fine))


@pytest.mark.parametrize(
    ("args", "groups"),
    [
        ({}, 4),
        ({"num_generations": 4}, 8),
        ({"num_generations": 32}, 1),
        ({"generation_batch_size": 64}, 8),
        ({"steps_per_generation": 1}, 1),
        ({"per_device_train_batch_size": 2}, 1),
    ],
)
def test_groups_of_a_batch_are_counted(args: dict[str, Any], groups: int) -> None:
    assert groups_per_batch(batch(**args)) == groups


@pytest.mark.parametrize("args", [{"num_generations": 3}, {"num_generations": 64}])
def test_groups_that_do_not_fill_a_batch_are_refused(args: dict[str, Any]) -> None:
    with pytest.raises(AxiomError, match=r"divisible by num_generations"):
        check_grpo(config(**args))


# Machines


@pytest.mark.parametrize(("size", "fine"), [(None, True), ("1", True), ("2", False), ("8", False)])
def test_several_processes_are_refused(
    monkeypatch: pytest.MonkeyPatch, size: str | None, fine: bool
) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    check_grpo(config())
    if size is not None:
        monkeypatch.setenv("WORLD_SIZE", size)
    if fine:
        check_grpo(config())
        return
    with pytest.raises(AxiomError, match=r"one process.*without torchrun"):
        check_grpo(config())


class Model:
    """As much of an adapter's model as the configuration asks for."""

    device = torch.device("cpu")

    def __init__(self, dtype: torch.dtype) -> None:
        self.config = SimpleNamespace(dtype=dtype)

    def get_base_model(self) -> Model:
        return self


@pytest.mark.parametrize(("dtype", "bf16"), [(torch.float32, False), (torch.bfloat16, True)])
def test_the_run_sets_what_is_its_own(tmp_path: Path, dtype: torch.dtype, bf16: bool) -> None:
    args = config().args
    made = grpo_config(args, Model(dtype), tmp_path, seed=5)  # type: ignore[arg-type]
    assert (made.bf16, made.use_cpu, made.seed, made.output_dir) == (bf16, True, 5, str(tmp_path))
    assert (made.top_p, made.top_k, made.logging_steps, made.shuffle_dataset) == (1.0, 0, 1, False)
    assert made.report_to in ([], "none", ["none"]) and made.dataloader_pin_memory is False
    assert {key: getattr(made, key) for key in ("temperature", "max_steps", "loss_type")} == {
        key: args[key] for key in ("temperature", "max_steps", "loss_type")
    }


def test_an_option_that_trl_lacks_is_no_traceback() -> None:
    with pytest.raises(AxiomError, match=r"trl\.GRPOConfig refuses these options"):
        build_options(GRPOConfig, {"nonsense": 1})


@pytest.mark.parametrize("key", ["signal", "curriculum."])
def test_a_low_end_above_the_high_end_is_refused(key: str) -> None:
    name = "signal_" if key == "signal" else key
    config = load_config("trainer=grpo", f"trainer.{name}low=0.9", f"trainer.{name}high=0.3")
    assert isinstance(config.trainer, GrpoConfig)
    with pytest.raises(AxiomError, match=rf"trainer\.{name}low=0\.9 must not be above"):
        check_grpo(config.trainer)


@pytest.fixture
def four_gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make four GPUs visible to transformers while its options are built."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _device: None)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_args, **_options: True)
    PartialState._reset_state()  # it remembers the device
    yield
    PartialState._reset_state()


@pytest.mark.parametrize(
    ("name", "config"), [("grpo", GRPOConfig), ("sft", SFTConfig), ("expert_iter", SFTConfig)]
)
@pytest.mark.usefixtures("four_gpus")
def test_several_visible_gpus_do_not_become_data_parallel(name: str, config: type) -> None:
    """transformers' Trainer wraps the model where n_gpu is above 1, and multiplies the batch."""
    args = dict(load_config(f"trainer={name}").trainer.args)
    plain = config(**args, output_dir="checkpoints", bf16=False, report_to="none")
    assert plain.n_gpu == 4, "else this shows nothing"
    made = build_options(config, args | {"output_dir": "checkpoints", "bf16": False})
    assert (made.n_gpu, str(made.device)) == (1, "cuda:0")
    assert made.train_batch_size == made.per_device_train_batch_size
