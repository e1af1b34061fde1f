"""Folders in Hugging Face format: right, or refused in one line before anything is loaded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from axiom_rl.config import ModelConfig, load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.models.load import load_model, load_tokenizer
from axiom_rl.models.weights import source
from axiom_rl.models.weights.resolve import resolve

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
NORM = "model.norm.weight"
Q_PROJ = "model.layers.0.self_attn.q_proj.weight"


@pytest.fixture
def folder(tiny_model_folder: Path, tmp_path: Path) -> Path:
    """The tiny model in a folder that the test may change."""
    folder = tmp_path / "mine"
    shutil.copytree(tiny_model_folder, folder)
    return folder


def retensor(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    """What changes the tensors of a folder's one safetensors file."""

    def apply(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    return apply


def reconfig(**changes: Any) -> Callable[[Path], None]:
    """What changes fields of a folder's config.json."""

    def apply(folder: Path) -> None:
        fields = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(fields | changes))

    return apply


def text(name: str, content: str) -> Callable[[Path], None]:
    """What writes a file of the folder anew."""
    return lambda folder: (folder / name).write_text(content) and None


def shards(folder: Path) -> dict[str, Any]:
    """Split the weights into two files with an index; return the index."""
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    weight_map = {}
    for number, part in enumerate((names[:10], names[10:]), start=1):
        file = f"model-0000{number}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    (folder / "model.safetensors").unlink()
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return index


def sharded(change: Callable[[Path, dict[str, Any]], Any]) -> Callable[[Path], None]:
    """What changes a folder of two shards, its index included."""

    def apply(folder: Path) -> None:
        index = shards(folder)
        change(folder, index)
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    return apply


def cut(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def other_format(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def one_dtype(kind: torch.dtype) -> Callable[[dict[str, torch.Tensor]], Any]:
    return lambda t: t.update({Q_PROJ: t[Q_PROJ].clamp(-1, 1).to(kind)})


REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a tensor missing": (retensor(lambda t: t.pop(NORM)), r"1 tensors are missing \(model\.norm"),
    "a tensor too many": (
        retensor(lambda t: t.update({"model.layers.9.x.weight": torch.ones(2)})),
        r"1 are none of this model's \(model\.layers\.9\.x\.weight\)",
    ),
    "another shape": (
        retensor(lambda t: t.update({NORM: torch.ones(32)})),
        r"model\.norm\.weight is \(32,\) and not \(64,\)",
    ),
    "PEFT's names": (
        retensor(
            lambda t: t.update({Q_PROJ.replace(".weight", ".base_layer.weight"): t.pop(Q_PROJ)})
        ),
        r"missing .*q_proj\.weight.*base_layer\.weight.*merge the adapter",
    ),
    "untied without a head": (reconfig(tie_word_embeddings=False), r"missing \(lm_head\.weight\)"),
    "tied with another head": (
        retensor(lambda t: t.update({"lm_head.weight": t["model.embed_tokens.weight"] + 1})),
        r"lm_head\.weight and model\.embed_tokens\.weight are one matrix by config\.json",
    ),
    "NaN": (retensor(lambda t: t[NORM].fill_(torch.nan)), r"model\.norm\.weight holds NaN"),
    "infinite": (retensor(lambda t: t[NORM].fill_(torch.inf)), "infinite values"),
    "int8": (retensor(one_dtype(torch.int8)), r"no floating-point weights .*q_proj\.weight is I8"),
    "float8": (retensor(one_dtype(torch.float8_e4m3fn)), "is F8_E4M3"),
    "cut": (cut, r"model\.safetensors is cut short or damaged"),
    "empty": (text("model.safetensors", ""), "cut short or damaged"),
    "LFS weights": (text("model.safetensors", POINTER), r"pointer of Git LFS.*git lfs pull"),
    "LFS tokenizer": (text("tokenizer.json", POINTER), r"tokenizer\.json is a pointer of Git LFS"),
    "LFS config": (text("config.json", POINTER), r"config\.json is a pointer of Git LFS"),
    "broken config": (text("config.json", '{"model_type": "qwen2",'), r"config\.json is not valid"),
    "config a list": (text("config.json", "[]"), r"names no model_type"),
    "unknown kind": (reconfig(model_type="zebra9"), r"cannot be read as a model: .*zebra9"),
    "odd config": (reconfig(num_attention_heads="many"), "cannot be read as a model"),
    "layers too few": (
        reconfig(num_hidden_layers=1, layer_types=["full_attention"]),
        r"none of this model's \(model\.layers\.1",
    ),
    "vocabulary": (reconfig(vocab_size=99), r"model\.embed_tokens\.weight is \(384, 64\)"),
    "ends": (text("generation_config.json", '{"eos_token_id": "</s>"}'), "must be numbers of tok"),
    "broken ends": (text("generation_config.json", "{"), r"generation_config\.json is not valid"),
    "code of its own": (
        reconfig(model_type="mine", auto_map={"AutoConfig": "code.Config"}),
        "cannot be read as a model: .*custom code",
    ),
    "GPTQ": (reconfig(quantization_config={"quant_method": "gptq"}), r"quantised by gptq; give"),
    "AWQ": (reconfig(quantization_config={"quant_method": "awq"}), "quantised by awq"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "has no tokenizer"),
    "a .bin alone": (other_format, r"holds pytorch_model\.bin: convert it with save_pretrained"),
    "shards without index": (
        lambda f: (shards(f), (f / "model.safetensors.index.json").unlink()),
        r"its shards need model\.safetensors\.index\.json",
    ),
    "a missing shard": (
        sharded(lambda f, i: (f / "model-00002-of-00002.safetensors").unlink()),
        r"has no model-00002-of-00002\.safetensors",
    ),
    "a shard too many": (
        sharded(lambda f, i: save_file({"x": torch.ones(1)}, f / "model-00003-of-3.safetensors")),
        r"holds model-00003-of-3\.safetensors beside .* its index names them",
    ),
    "shards and a whole": (
        sharded(lambda f, i: save_file({"x": torch.ones(1)}, f / "model.safetensors")),
        r"holds model\.safetensors beside",
    ),
    "an index of another": (
        sharded(lambda f, i: i["weight_map"].pop(NORM)),
        r"differ in 1 tensors: model\.norm\.weight",
    ),
    "an index out of the folder": (
        sharded(lambda f, i: i["weight_map"].update({NORM: "../x.safetensors"})),
        r"no file of the folder",
    ),
    "an index without a map": (sharded(lambda f, i: i.pop("weight_map")), "has no weight_map"),
    "an adapter": (
        lambda f: ((f / "config.json").unlink(), (f / "adapter_config.json").write_text("{}")),
        r"it is an adapter: type model\.adapter=",
    ),
    "an adapter beside": (
        text("adapter_config.json", '{"peft_type": "LORA"}'),
        r"holds an adapter \(adapter_config\.json\) beside the model; move it",
    ),
    "a folder of GGUF": (
        lambda f: ((f / "config.json").unlink(), (f / "a.gguf").write_text("GGUF")),
        r"type model\.path=.*a\.gguf",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_folder_that_is_no_whole_model_is_refused_in_one_line(kind: str, folder: Path) -> None:
    damage, complaint = REFUSED[kind]
    damage(folder)
    with pytest.raises(AxiomError, match=complaint) as caught:
        resolve(load_config(f"model.path={folder}").model)
    assert "\n" not in str(caught.value)


def test_shards_and_a_tied_head_stored_twice_are_fine(folder: Path) -> None:
    retensor(lambda t: t.update({"lm_head.weight": t["model.embed_tokens.weight"].clone()}))(folder)
    shards(folder)
    config = load_config(f"model.path={folder}", "model.device=cpu").model
    model, _ = load_model(resolve(config), config)
    assert model.lm_head.weight.data_ptr() == model.get_input_embeddings().weight.data_ptr()


def model_like(folder: Path, kind: str, **sizes: Any) -> PreTrainedModel:
    """Save a model of another kind, with the folder's tokenizer."""
    vocab = json.loads((folder / "config.json").read_text())["vocab_size"]
    model: PreTrainedModel = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(kind, vocab_size=vocab, **sizes)
    )
    model.save_pretrained(folder)
    return model


SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
WIDE = SMALL | {"intermediate_size": 64, "num_key_value_heads": 2}


@pytest.mark.parametrize(
    ("kind", "sizes", "complaint"),
    [
        ("gpt2", {"n_embd": 32, "n_layer": 1, "n_head": 2}, "GPT2LMHeadModel has matrices outside"),
        (
            "opt",
            {**SMALL, "ffn_dim": 64, "word_embed_proj_dim": 32},
            "OPTForCausalLM has positions",
        ),
        ("bloom", {"hidden_size": 32, "n_layer": 1, "n_head": 2}, "BloomForCausalLM has"),
        ("gpt_neox", SMALL | {"intermediate_size": 64}, "no num_key_value_heads in its config"),
        ("mixtral", {**WIDE, "num_local_experts": 2}, "MixtralForCausalLM has matrices outside"),
        ("mamba", {"hidden_size": 32, "num_hidden_layers": 1}, "MambaForCausalLM has"),
        ("gemma2", {**WIDE, "head_dim": 16}, "capped attention scores"),
    ],
)
def test_a_kind_of_model_that_cannot_be_trained_here_is_refused(
    folder: Path, kind: str, sizes: dict[str, Any], complaint: str
) -> None:
    model_like(folder, kind, **sizes)
    with pytest.raises(AxiomError, match=complaint) as caught:
        resolve(load_config(f"model.path={folder}").model)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["llama", "qwen3", "mistral"])
def test_other_decoders_are_taken(folder: Path, kind: str) -> None:
    model_like(folder, kind, **WIDE)
    assert resolve(load_config(f"model.path={folder}").model).folder == folder


def test_an_encoder_with_decoder_is_refused(folder: Path) -> None:
    reconfig(model_type="t5")(folder)
    with pytest.raises(AxiomError, match=r"^[^\n]*T5[^\n]*$"):
        resolve(load_config(f"model.path={folder}").model)


def test_a_tokenizer_larger_than_the_embedding_is_refused(folder: Path) -> None:
    fields = json.loads((folder / "tokenizer.json").read_text())
    fields["added_tokens"].append(fields["added_tokens"][0] | {"id": 384, "content": "<|more|>"})
    (folder / "tokenizer.json").write_text(json.dumps(fields))
    resolved = resolve(load_config(f"model.path={folder}").model)
    with pytest.raises(AxiomError, match=r"goes up to token 384 .*has 384 rows"):
        load_tokenizer(resolved)


@pytest.mark.parametrize("content", ["{", "[]", '{"model": 3}'])
def test_a_broken_tokenizer_is_one_line(folder: Path, content: str) -> None:
    (folder / "tokenizer.json").write_text(content)
    resolved = resolve(load_config(f"model.path={folder}").model)
    with pytest.raises(AxiomError, match=r"^[^\n]*cannot be read as a model[^\n]*$"):
        load_tokenizer(resolved)


def test_weights_changed_after_they_were_resolved_are_refused_when_loaded(folder: Path) -> None:
    config = load_config(f"model.path={folder}", "model.device=cpu").model
    resolved = resolve(config)
    retensor(lambda t: t.pop(NORM))(folder)
    with pytest.raises(AxiomError, match=r"1 tensors are missing"):
        load_model(resolved, config)


def test_weights_are_hashed_once_for_as_long_as_the_file_stays(
    folder: Path, model_config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    monkeypatch.setattr(source, "REMEMBERED_BYTES", 0)
    file = folder / "model.safetensors"
    first = source.file_sha256(file)
    count = len(list((source.cache_dir() / "hashes").glob("*")))
    assert count == 0  # changed just now: it may change again within the clock's resolution
    monkeypatch.setattr(source, "JUST_NOW_S", -1.0)
    assert source.file_sha256(file) == first
    digest = source.hashlib.file_digest
    monkeypatch.setattr(source.hashlib, "file_digest", lambda *_: pytest.fail("hashed anew"))
    model_config.path = str(folder)
    assert resolve(model_config).sha256 == first == resolve(model_config).sha256
    monkeypatch.setattr(source.hashlib, "file_digest", digest)
    times = file.stat()
    retensor(lambda t: t[NORM].mul_(2))(folder)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))  # the same size and date
    assert source.file_sha256(file) != first


def test_a_damaged_record_of_a_hash_is_not_believed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "REMEMBERED_BYTES", 0)
    monkeypatch.setattr(source, "JUST_NOW_S", -1.0)
    file = folder / "model.safetensors"
    first = source.file_sha256(file)
    (record,) = (source.cache_dir() / "hashes").glob("*.json")
    record.write_text("{")
    assert source.file_sha256(file) == first
