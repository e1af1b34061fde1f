"""What is trained is what is sampled, evaluated, exported and reloaded, or it is refused by name.

The tables walk peft.LoraConfig: an option that a later PEFT brings fails here until it is either
proved or refused.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel
from transformers import AutoModelForCausalLM, Qwen2ForCausalLM

from axiom_rl.config import ModelConfig, load_config
from axiom_rl.config.lora_options import ALLOWED, REFUSED, WRITTEN_BY_PEFT, check_lora_options
from axiom_rl.core.errors import AxiomError
from axiom_rl.models.load import load_model
from axiom_rl.models.lora.fit import check_adapter_fits, check_new_lora, lora_config, model_config
from axiom_rl.models.lora.merged_copy import FrozenBase, MergedCopy
from axiom_rl.models.lora.options import (
    check_adapter_folder,
    export_merged,
    load_adapter,
    load_merged,
    new_lora,
    save_adapter,
)
from axiom_rl.models.weights.source import ResolvedModel, weights_sha256
from axiom_rl.stages import run_stage

MANUAL = Path(__file__).resolve().parents[2] / "docs" / "guides" / "adapters.md"
LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
IDS = torch.arange(3, 43).view(2, 20)

PROVED: list[dict[str, Any]] = [
    {},
    {"r": 3, "lora_alpha": 1.5, "lora_dropout": 0.3},
    {"use_rslora": True, "lora_alpha": 2},
    {"use_dora": True},
    {
        "use_dora": True,
        "use_rslora": True,
        "lora_alpha": 2,
        "target_modules": ["v_proj", "up_proj"],
    },
    {"target_modules": LAYERS, "task_type": "CAUSAL_LM", "peft_type": "LORA"},
    {"target_modules": r".*\.(q|v)_proj"},
    {"exclude_modules": ["down_proj"]},
    {"exclude_modules": r".*\.0\..*"},
    {"target_modules": ["q_proj", "o_proj"], "layers_to_transform": [1]},
    {"target_modules": ["q_proj"], "layers_to_transform": 0, "layers_pattern": "layers"},
    {"rank_pattern": {"q_proj": 2, r"layers\.1\..*up_proj": 6}, "alpha_pattern": {"q_proj": 8}},
    {"rank_pattern": {"v_proj": 2}, "use_rslora": True, "use_dora": True},
    {"init_lora_weights": "gaussian"},
    {"init_lora_weights": "orthogonal"},
    {"init_lora_weights": False},
]
"""Options, beside r=4 and lora_alpha=8 on all linear layers, for which everything must agree."""
QUICK = (PROVED[0], PROVED[4], PROVED[11])
"""Cases of the default tests; CI runs all of them."""

NOT_HONOURED: dict[str, Any] = {
    "fan_in_fan_out": True,
    "bias": "all",
    "modules_to_save": ["lm_head"],
    "trainable_token_indices": [1, 2],
    "lora_bias": True,
    "layer_replication": [[0, 2], [1, 2]],
    "target_parameters": ["mlp.up_proj.weight"],
    "ensure_weight_tying": True,
    "megatron_config": {"a": 1},
    "megatron_core": "mine.core",
    "runtime_config": {"ephemeral_gpu_offload": True},
    "loftq_config": {"loftq_bits": 4},
    "eva_config": {"rho": 1.0},
    "corda_config": {"corda_method": "kpm"},
    "lora_ga_config": {"direction": "ArB2r"},
    "kasa_config": {"beta": 0.1},
    "velora_config": {"num_groups": 4},
    "monteclora_config": {"n": 1},
    "alora_invocation_tokens": [1],
    "arrow_config": {"top_k": 1},
    "use_qalora": True,
    "qalora_group_size": 8,
    "use_bdlora": {"nblocks": 2},
}
BAD_VALUES: list[tuple[str, Any]] = [
    *(("r", value) for value in (16.0, 0, -1, True, "8", None)),
    *(("lora_alpha", value) for value in (0, -2, True, float("nan"), float("inf"), "16")),
    *(("lora_dropout", value) for value in (1, 1.0, -0.1, True, None)),
    *(("target_modules", value) for value in (None, [], "", [1], {"q_proj": 1})),
    *(("init_lora_weights", name) for name in ("pissa", "pissa_niter_4", "olora", "loftq", "eva")),
    *(("init_lora_weights", name) for name in ("corda", "mica", "lora_ga", "xavier", 1, None)),
    *(("rank_pattern", value) for value in ({"q_proj": 2.0}, {"q_proj": 0}, ["q_proj"])),
    *(("alpha_pattern", value) for value in ({"q_proj": -1}, {"q_proj": "8"})),
    *(("layers_to_transform", value) for value in ([-1], [0.0], [], "0")),
    *(("use_dora", value) for value in ("yes", 1)),
    *(("use_rslora", value) for value in ("yes", None)),
    ("task_type", "SEQ_CLS"),
    ("peft_type", "IA3"),
]


@pytest.fixture(scope="module", params=["tied", "untied"])
def base(
    request: pytest.FixtureRequest,
    tiny_model_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> ResolvedModel:
    """The tiny model, its head tied to the embeddings or a matrix of its own."""
    folder = tiny_model_folder
    if request.param == "untied":
        folder = tmp_path_factory.mktemp("untied")
        for file in tiny_model_folder.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        config = model_config(tiny_model_folder)
        config.tie_word_embeddings = False
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            Qwen2ForCausalLM(config).save_pretrained(folder)
    return ResolvedModel(
        name="tiny",
        folder=folder,
        source="path",
        format="safetensors float32",
        sha256=weights_sha256(folder),
        revision="",
    )


@pytest.fixture(scope="module")
def exact() -> ModelConfig:
    """Everything in float32 on the CPU."""
    return load_config("model.device=cpu", "model.dtype=float32").model


def options(**changes: Any) -> dict[str, Any]:
    return {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"} | changes


def train_a_little(model: PeftModel, step: int) -> None:
    made = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight += 0.05 * torch.randn(weight.shape, generator=made) * (1 + weight.abs())


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(IDS).logits
    return found.float()


def digest(model: torch.nn.Module) -> dict[str, str]:
    """Hashes of the base's weights, by their names without adapters."""
    return {
        name.removeprefix("base_model.model.").replace(".base_layer", ""): hashlib.sha256(
            weight.detach().view(torch.uint8).numpy().tobytes()
        ).hexdigest()
        for name, weight in model.named_parameters()
        if "lora_" not in name
    }


# --- the lists ---


def test_every_option_of_peft_is_proved_or_refused() -> None:
    known = {field.name for field in dataclasses.fields(LoraConfig)}
    lists = (ALLOWED.keys(), REFUSED.keys(), WRITTEN_BY_PEFT)
    assert set().union(*lists) == known, "classify what is new in PEFT"
    assert sum(map(len, lists)) == len(known), "in one list alone"
    assert set().union(options(), *PROVED) == ALLOWED.keys(), "an allowed option without a proof"
    assert NOT_HONOURED.keys() == REFUSED.keys()


def test_defaults_of_refused_options_are_pefts() -> None:
    """Written out in a config they are no error, and mean what PEFT means by them."""
    fresh = LoraConfig()
    for key, (default, _reason) in REFUSED.items():
        if key != "runtime_config":
            assert getattr(fresh, key) == default, key
    written = {key: default for key, (default, _) in REFUSED.items()}
    assert lora_config(options(**written)).to_dict() == lora_config(options()).to_dict()


def test_the_manual_names_every_option() -> None:
    page = MANUAL.read_text(encoding="utf-8")
    missing = [key for key in (ALLOWED | REFUSED) if f"`{key}`" not in page]
    assert not missing


# --- what is honoured ---


@pytest.mark.filterwarnings("ignore:.*base_model_name_or_path")
@pytest.mark.parametrize(
    ("base", "changes"),
    [
        pytest.param(head, case, marks=[] if case in QUICK and head == "tied" else pytest.mark.slow)
        for head, cases in (("tied", PROVED), ("untied", PROVED[::3]))
        for case in cases
    ],
    ids=str,
    indirect=["base"],
)
def test_trained_sampled_evaluated_exported_and_reloaded_agree(
    base: ResolvedModel, exact: ModelConfig, tmp_path: Path, changes: dict[str, Any]
) -> None:
    lora = options(**changes)
    check_new_lora(model_config(base.folder), lora)
    model, _ = load_model(base, exact)
    before, untrained = digest(model), logits(model)
    frozen, copy = FrozenBase(model), MergedCopy(model)
    torch.manual_seed(0)
    trained = new_lora(model, lora)
    for step in range(20):
        copy.sync(trained)
        train_a_little(trained, step)
    copy.sync(trained)
    assert digest(trained) == before, "the base is bit-identical after 20 syncs"
    frozen.check(trained)

    folder, out = tmp_path / "adapter", tmp_path / "merged"
    save_adapter(trained, folder, base)
    check_adapter_fits(model_config(base.folder), check_adapter_folder(folder))
    export_merged(base, folder, out, exact)
    plain = AutoModelForCausalLM.from_pretrained(base.folder)
    wanted = logits(trained)
    assert float((wanted - untrained).abs().max()) > 0.1, "or this says nothing"
    places: dict[str, Any] = {
        "sampled": copy.model,
        "evaluated": load_merged(base, folder, exact),
        "exported": AutoModelForCausalLM.from_pretrained(out),
        "reloaded": PeftModel.from_pretrained(plain, folder),
        "trained further": load_adapter(load_model(base, exact)[0], folder, base, trainable=True),
    }
    for place, found in places.items():
        assert torch.allclose(logits(found), wanted, atol=2e-4, rtol=1e-4), place
    further: Any = places["trained further"]
    assert further.peft_config["default"].base_model_name_or_path == str(base.folder)
    for place in ("reloaded", "trained further"):
        assert logits(places[place]).equal(wanted), "unmerged, so to the last bit"
    merged, exported = places["evaluated"].state_dict(), places["exported"].state_dict()
    assert all(exported[name].equal(weight) for name, weight in merged.items())


# --- what is refused ---


def refusal(function: Callable[[Any], object], argument: Any) -> str:
    """The message of the AxiomError; '' where there is none."""
    try:
        function(argument)
    except AxiomError as error:
        return str(error)
    return ""


def test_what_cannot_hold_is_refused_by_name(tmp_path: Path) -> None:
    offenders = []
    for key, value in NOT_HONOURED.items():
        said = refusal(lora_config, options(**{key: value}))
        if not (said.startswith(f"model.lora.{key}=") and "is not supported: " in said):
            offenders.append((key, said))
        config = {"peft_type": "LORA", **options(**{key: value})}
        (tmp_path / "adapter_config.json").write_text(json.dumps(config))
        said = refusal(check_adapter_folder, tmp_path)
        if not (f"adapter_config.json: {key}=" in said and "is not supported" in said):
            offenders.append((key, said))
    assert not offenders


def test_impossible_values_are_refused() -> None:
    said = [
        (key, value, refusal(lora_config, options(**{key: value}))) for key, value in BAD_VALUES
    ]
    assert not [row for row in said if not re.match(rf"model\.lora\.{row[0]}=.*: must be ", row[2])]


def test_options_are_refused_while_the_command_is_read() -> None:
    for given in ("+model.lora.bias=all", "model.lora.r=16.0", "+model.lora.modules_to_save=[x]"):
        with pytest.raises(AxiomError, match=r"^model\.lora\.\w+=.*(must be|not supported)"):
            load_config(given)
    with pytest.raises(AxiomError, match=r"lora_alhpa: .* did you mean lora_alpha"):
        load_config("+model.lora.lora_alhpa=3")
    for key in WRITTEN_BY_PEFT:
        with pytest.raises(AxiomError, match=f"{key} is written by the run itself"):
            check_lora_options({key: None})
    load_config("+model.lora.use_dora=true", "+model.lora.rank_pattern={q_proj:4}")


UNFIT: list[tuple[dict[str, Any], str]] = [
    ({"target_modules": ["q_proj", "lm_head"]}, "target_modules: lm_head cannot be adapted"),
    ({"target_modules": ["embed_tokens"]}, "target_modules: embed_tokens cannot be adapted"),
    ({"target_modules": "lm_head"}, "target_modules: lm_head cannot be adapted"),
    ({"target_modules": ["model.embed_tokens"]}, "cannot be adapted"),
    ({"target_modules": r".*(q_proj|lm_head)"}, r"lm_head \(Linear\) cannot be adapted"),
    ({"target_modules": r".*(q_proj|tokens)"}, r"embed_tokens \(Embedding\) cannot be adapted"),
    ({"target_modules": ["q_proj", "nowhere"]}, "target_modules: nowhere matches no layer"),
    ({"target_modules": ["nowhere"]}, "does not fit this model"),
    ({"target_modules": r".*(q_proj"}, "does not fit this model"),
    ({"target_modules": r".*norm"}, "does not fit this model"),
    ({"exclude_modules": ["nowhere"]}, "exclude_modules: nowhere matches no layer"),
    ({"exclude_modules": r"nowhere"}, "exclude_modules: nowhere matches no layer"),
    ({"rank_pattern": {"q_prj": 2}}, "rank_pattern: q_prj matches no layer"),
    ({"alpha_pattern": {"^q_proj": 2}}, r"alpha_pattern: \^q_proj matches no layer"),
    (
        {"target_modules": ["q_proj"], "layers_to_transform": [0, 2]},
        "layers_to_transform: 2 matches no layer",
    ),
    ({"layers_to_transform": [0]}, "LoraConfig refuses"),
    ({"init_lora_weights": "orthogonal", "r": 3}, "orthogonal needs even ranks"),
]


def test_what_does_not_fit_the_model_is_refused_from_its_config(base: ResolvedModel) -> None:
    config = model_config(base.folder)
    offenders = []
    for changes, wanted in UNFIT:
        said = refusal(lambda lora: check_new_lora(config, lora), options(**changes))
        if not re.search(f"^model.lora.*{wanted}", said):
            offenders.append((changes, said))
    assert not offenders


def test_a_server_that_takes_plain_lora_alone_gets_no_other(tmp_path: Path) -> None:
    server = ("sampler=vllm_server", "sampler.url=http://localhost:1/v1")
    for option in ("use_dora=true", "rank_pattern={q_proj:2}"):
        config = load_config(*server, f"+model.lora.{option}", "problems.types=[two_sum]")
        with pytest.raises(AxiomError, match=r"plain LoRA adapters; type sampler=transformers"):
            run_stage(config, tmp_path / option[:4])
