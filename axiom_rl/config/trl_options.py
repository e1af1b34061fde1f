"""Which options of TRL a run honours, by name: known here, so that a typo costs no import of TRL.

Every field of trl.SFTConfig, trl.GRPOConfig and trl.DistillationConfig is allowed, set by the run
itself, or refused with a reason; tests/trainers/test_trl_options.py walks the fields, so that a new
one must be classified.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

from axiom_rl.core.errors import AxiomError
from axiom_rl.core.text import did_you_mean

_BOTH = (
    "per_device_train_batch_size max_steps learning_rate lr_scheduler_type lr_scheduler_kwargs "
    "warmup_steps optim optim_args weight_decay adam_beta1 adam_beta2 adam_epsilon max_grad_norm "
    "gradient_accumulation_steps gradient_checkpointing gradient_checkpointing_kwargs "
    "torch_empty_cache_steps logging_nan_inf_filter log_level save_strategy save_steps "
    "save_total_limit"
)
_SFT = (
    "num_train_epochs label_smoothing_factor neftune_noise_alpha logging_strategy logging_steps "
    "logging_first_step train_sampling_strategy shuffle_dataset max_length truncation_mode "
    "loss_type"
)
_GRPO = (
    "num_generations max_completion_length generation_batch_size steps_per_generation temperature "
    "beta num_iterations epsilon epsilon_high delta loss_type scale_rewards "
    "importance_sampling_level use_bias_correction_kl disable_dropout"
)
_DISTILL = "max_completion_length temperature beta disable_dropout"
ALLOWED: Mapping[str, frozenset[str]] = {
    "SFTConfig": frozenset(f"{_BOTH} {_SFT}".split()),
    "GRPOConfig": frozenset(f"{_BOTH} {_GRPO}".split()),
    "DistillationConfig": frozenset(f"{_BOTH} {_DISTILL}".split()),
}
"""What trainer.args may hold, by the class of TRL that it goes to."""

_OURS = (
    "seed data_seed full_determinism output_dir run_name report_to push_to_hub bf16 fp16 tf32 "
    "bf16_full_eval fp16_full_eval use_cpu disable_tqdm resume_from_checkpoint model_init_kwargs "
    "dataloader_pin_memory remove_unused_columns use_cache"
)
_STEPS = "logging_steps logging_strategy logging_first_step num_train_epochs shuffle_dataset"
OURS: Mapping[str, frozenset[str]] = {
    "SFTConfig": frozenset(f"{_OURS} completion_only_loss assistant_only_loss".split()),
    "GRPOConfig": frozenset(f"{_OURS} {_STEPS} reward_weights multi_objective_aggregation".split()),
    "DistillationConfig": frozenset(f"{_OURS} {_STEPS}".split()),
}
"""What the run sets itself, from its other options."""

_REASONS: tuple[tuple[str, str], ...] = (
    (
        "TRL has no problems to evaluate on; a run measures before and after training, and GRPO "
        "every trainer.eval_every steps",
        "eval_strategy eval_steps eval_delay eval_on_start per_device_eval_batch_size "
        "prediction_loss_only eval_do_concat_batches eval_use_gather_object "
        "eval_accumulation_steps include_for_metrics batch_eval_metrics eval_packing do_eval "
        "do_predict load_best_model_at_end metric_for_best_model greater_is_better "
        "num_generations_eval label_names",
    ),
    ("a run trains whenever stage=train", "do_train"),
    (
        "a stopped run goes on from whole checkpoints, with their optimizer",
        "save_only_model ignore_data_skip restore_callback_states_from_checkpoint "
        "enable_jit_checkpoint",
    ),
    (
        "prompts are sampled and trained on with the same tokens; they are set with model=",
        "eos_token pad_token chat_template_path chat_template_kwargs",
    ),
    (
        "completions are drawn by sampler=, with trainer.args.temperature and "
        "trainer.args.max_completion_length",
        "top_p top_k min_p repetition_penalty generation_kwargs cache_implementation "
        "use_transformers_paged use_transformers_continuous_batching "
        "transformers_continuous_batching_config max_tool_calling_iterations "
        "ds3_gather_for_generation",
    ),
    (
        "TRL's own use of vLLM is off; choose sampler=vllm",
        "use_vllm vllm_mode vllm_model_impl vllm_enable_sleep_mode "
        "vllm_structured_outputs_regex vllm_server_base_url vllm_server_host vllm_server_port "
        "vllm_server_timeout vllm_group_port vllm_gpu_memory_utilization vllm_max_model_length "
        "vllm_tensor_parallel_size vllm_importance_sampling_correction "
        "vllm_importance_sampling_mode vllm_importance_sampling_clip_max "
        "vllm_importance_sampling_clip_min vllm_importance_sampling_cap",
    ),
    (
        "a completion that was cut off failed its tests, which is what it earns",
        "mask_truncated_completions",
    ),
    (
        "it would change numbers of the trained model that the sampler does not have; use "
        "model.dtype=float32",
        "cast_lm_head_to_fp32",
    ),
    (
        "TRL does not do this with LoRA adapters",
        "sync_ref_model ref_model_mixup_alpha ref_model_sync_steps",
    ),
    (
        "completions/grpo.jsonl holds every completion",
        "log_completions log_multimodal num_completions_to_print log_unique_prompts "
        "log_completions_hub_repo",
    ),
    (
        "numbers go to metrics.jsonl and where tracking= says",
        "project trackio_space_id trackio_bucket_id trackio_static_space_id "
        "include_num_input_tokens_seen skip_memory_metrics",
    ),
    (
        "a run publishes nothing",
        "hub_token hub_private_repo hub_model_id hub_strategy hub_always_push hub_revision",
    ),
    (
        "a run trains in one process on one device",
        "average_tokens_across_devices log_on_each_node log_level_replica save_on_each_node "
        "ddp_find_unused_parameters ddp_bucket_cap_mb ddp_broadcast_buffers ddp_static_graph "
        "ddp_backend ddp_timeout fsdp fsdp_config deepspeed local_rank accelerator_config "
        "parallelism_config",
    ),
    (
        "rows run packed, without padding, through a pass of our own",
        "torch_compile torch_compile_backend torch_compile_mode use_liger_kernel "
        "liger_kernel_config packing packing_strategy padding_free pad_to_multiple_of "
        "activation_offloading debug",
    ),
    ("no weights are loaded by TRL", "trust_remote_code"),
    ("models with a router of experts are not supported", "router_aux_loss_coef"),
    ("the plan of a run states its batches before it starts", "auto_find_batch_size"),
    (
        "rows are prompts and completions held in memory",
        "dataset_text_field dataset_kwargs dataset_num_proc length_column_name "
        "dataloader_drop_last dataloader_num_workers dataloader_persistent_workers "
        "dataloader_prefetch_factor dataloader_multiprocessing_context dataloader_in_order",
    ),
    (
        "it is for optimizers of whole weight matrices, and adapters are trained",
        "optim_target_modules",
    ),
)
_GRPO_REASONS: tuple[tuple[str, str], ...] = (
    (
        "the loss is one of grpo, dapo, bnpo, dr_grpo and cispo, without sapo, vespo, an entropy "
        "bonus or masks of tokens and rows",
        "sapo_temperature_neg sapo_temperature_pos vespo_k_pos vespo_lambda_pos vespo_k_neg "
        "vespo_lambda_neg top_entropy_quantile entropy_coef use_adaptive_entropy entropy_coef_min "
        "entropy_coef_max entropy_coef_delta entropy_target off_policy_mask_threshold",
    ),
    ("the log-probabilities of sampler and trainer would differ on purpose", "neftune_noise_alpha"),
    ("GRPO's loss does not use it", "label_smoothing_factor"),
    ("the curriculum chooses the problems of a step", "train_sampling_strategy"),
)
_DISTILL_REASONS: tuple[tuple[str, str], ...] = (
    (
        "the teacher is teacher.model",
        "teacher_model_name_or_path teacher_model_revision teacher_model_init_kwargs",
    ),
    ("both models are to see the same tokens", "neftune_noise_alpha"),
    ("the loss is the divergence from the teacher", "label_smoothing_factor"),
    (
        "every pass over the problems has an order of its own, by the seed",
        "train_sampling_strategy",
    ),
)


def _by_name(reasons: tuple[tuple[str, str], ...]) -> dict[str, str]:
    return {name: reason for reason, names in reasons for name in names.split()}


REFUSED: Mapping[str, Mapping[str, str]] = {
    "SFTConfig": _by_name(_REASONS),
    "GRPOConfig": _by_name(_REASONS) | _by_name(_GRPO_REASONS),
    "DistillationConfig": _by_name(_REASONS) | _by_name(_DISTILL_REASONS),
}
"""Why an option of TRL cannot be given."""

OPTIMIZERS = ("adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "adagrad", "rmsprop")
BITSANDBYTES_OPTIMIZERS = (
    "adamw_bnb_8bit", "adamw_8bit", "paged_adamw_32bit", "paged_adamw_8bit", "lion_8bit",
    "lion_32bit", "paged_lion_32bit", "paged_lion_8bit", "ademamix", "ademamix_8bit",
    "paged_ademamix_32bit", "paged_ademamix_8bit", "rmsprop_bnb", "rmsprop_bnb_8bit",
    "rmsprop_bnb_32bit",
)  # fmt: skip
NEEDS_METRICS = {
    "lr_scheduler_type": ("reduce_lr_on_plateau", "greedy"),
    "save_strategy": ("best",),
}
"""Values of allowed options that watch a metric of TRL's evaluation, of which there is none."""
CHOICES: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "SFTConfig": {"loss_type": ("nll", "dft")},
    "GRPOConfig": {
        "loss_type": ("grpo", "dapo", "bnpo", "dr_grpo", "cispo"),
        "scale_rewards": ("none", "group", "batch", False, True),
        "importance_sampling_level": ("token", "sequence"),
    },
    "DistillationConfig": {"save_strategy": ("steps",)},
}
"""What there is to choose, where TRL looks only when it trains or has more than we do."""


def trl_class(trainer: str) -> str:
    """Return the name of the configuration class of TRL that a kind of trainer has."""
    return {"grpo": "GRPOConfig", "distill": "DistillationConfig"}.get(trainer, "SFTConfig")


def check_trl_options(config: str, args: Mapping[str, Any]) -> None:
    """Refuse options that TRL lacks, that the run sets itself or that it cannot honour.

    Args:
        config: SFTConfig, GRPOConfig or DistillationConfig.
        args: trainer.args.

    Raises:
        AxiomError: naming the key, with the reason or the near misses.
    """
    for key, value in args.items():
        if key in OURS[config]:
            raise AxiomError(
                f"trainer.args.{key} is set by the run itself (from seed=, model.dtype=, "
                "model.device=, sampler=, tracking= and the run folder); leave it out"
            )
        if key in REFUSED[config]:
            raise AxiomError(
                f"trainer.args.{key} cannot be given: {REFUSED[config][key]}; leave it out"
            )
        if key not in ALLOWED[config]:
            hint = did_you_mean(key, sorted(ALLOWED[config]), before="; ")
            raise AxiomError(f"trainer.args.{key}: trl.{config} has no such option{hint}")
        _check_value(config, key, value)


def _check_value(config: str, key: str, value: Any) -> None:
    names = CHOICES[config].get(key)
    if names is not None and value not in names:
        listed = ", ".join(map(str, names))
        raise AxiomError(f"trainer.args.{key}={value}: choose {listed}")
    if str(value) in NEEDS_METRICS.get(key, ()):
        raise AxiomError(
            f"trainer.args.{key}={value} watches a metric of TRL's evaluation, and TRL has no "
            "problems to evaluate on; choose another"
        )
    if key == "optim" and value not in OPTIMIZERS:
        if value not in BITSANDBYTES_OPTIMIZERS:
            raise AxiomError(f"trainer.args.optim={value}: choose {', '.join(OPTIMIZERS)}")
        if importlib.util.find_spec("bitsandbytes") is None:
            raise AxiomError(
                f"trainer.args.optim={value} needs bitsandbytes: pip install "
                f"'axiom-rl[quantization]', or choose {', '.join(OPTIMIZERS)}"
            )
