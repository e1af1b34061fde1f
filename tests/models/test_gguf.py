"""Conversion of GGUF files: the values, the tied embedding and the tokenizer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from axiom_rl.config import load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.models.load import load_tokenizer
from axiom_rl.models.weights.gguf import convert
from axiom_rl.models.weights.gguf.convert import convert_gguf, open_gguf
from axiom_rl.models.weights.gguf.weights import _unpermute, is_tied, parameters
from axiom_rl.models.weights.resolve import resolve


@pytest.fixture(scope="module")
def converted(tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("converted")
    assert convert_gguf(tiny_gguf, folder) == "Q8_0"
    return folder


def test_the_values_are_those_that_transformers_reads(tiny_gguf: Path, converted: Path) -> None:
    ours = AutoModelForCausalLM.from_pretrained(converted, dtype=torch.bfloat16).state_dict()
    theirs = AutoModelForCausalLM.from_pretrained(
        tiny_gguf.parent,
        gguf_file=tiny_gguf.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    ).state_dict()
    assert ours.keys() == theirs.keys()
    different = [name for name in ours if not torch.equal(ours[name], theirs[name])]
    assert different == ["lm_head.weight"]  # the coarser copy, which we leave out


def test_an_embedding_stored_twice_is_tied_again_by_its_finer_copy(
    tiny_gguf: Path, tiny_model_folder: Path, converted: Path
) -> None:
    assert is_tied(open_gguf(tiny_gguf))
    model = AutoModelForCausalLM.from_pretrained(converted, dtype=torch.float32)
    assert model.lm_head.weight.data_ptr() == model.get_input_embeddings().weight.data_ptr()
    original = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
    error = model.lm_head.weight - original.lm_head.weight
    assert error.norm() < 0.01 * original.lm_head.weight.norm()  # 8 bits, not 5


def test_parameters_are_counted_once(tiny_gguf: Path, tiny_model_folder: Path) -> None:
    original = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
    assert parameters(open_gguf(tiny_gguf)) == original.num_parameters()


def test_the_configuration_survives(tiny_model_folder: Path, converted: Path) -> None:
    ours = json.loads((converted / "config.json").read_text())
    original = json.loads((tiny_model_folder / "config.json").read_text())
    original |= {"dtype": "bfloat16", "bos_token_id": None}
    assert {key: ours.get(key) for key in original} == original


def test_large_models_are_written_in_shards(
    tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, converted: Path
) -> None:
    monkeypatch.setattr(convert, "SHARD_BYTES", 20_000)
    convert_gguf(tiny_gguf, tmp_path)
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 3
    whole = AutoModelForCausalLM.from_pretrained(converted).state_dict()
    sharded = AutoModelForCausalLM.from_pretrained(tmp_path).state_dict()
    assert all(torch.equal(whole[name], sharded[name]) for name in whole)


def test_the_tokenizer_keeps_ids_markers_and_template(
    tiny_model_folder: Path, converted: Path
) -> None:
    original = AutoTokenizer.from_pretrained(tiny_model_folder)
    ours = AutoTokenizer.from_pretrained(converted)
    assert ours.get_vocab() == original.get_vocab()
    assert (ours.eos_token, ours.pad_token) == ("<|im_end|>", "<|endoftext|>")
    code = "def f(x):\n\tif x > 12:\n        return 'é'  # 中\r\n\n<|im_end|>"
    assert ours.decode(ours(code).input_ids) == code
    assert ours(code).input_ids[-1] == ours.eos_token_id
    assert ours.decode(ours("a , b !").input_ids) == "a , b !"
    messages = [{"role": "user", "content": "hello"}]
    assert ours.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True
    ) == original.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    generation = json.loads((converted / "generation_config.json").read_text())
    assert generation["eos_token_id"] == [ours.eos_token_id, ours.pad_token_id]


def test_digits_are_single_tokens_in_smollm(
    tiny_model_folder: Path, tmp_path: Path, make_gguf: Callable[..., None]
) -> None:
    gguf = tmp_path / "smol.gguf"
    make_gguf(tiny_model_folder, gguf, pre="smollm")
    tokenizer: Any = load_tokenizer(resolve(load_config(f"model.path={gguf}").model))
    backend = tokenizer.backend_tokenizer  # and not what transformers makes of a Qwen2's tokenizer
    pieces = [piece for piece, _span in backend.pre_tokenizer.pre_tokenize_str("x 012\n\n a")]
    assert pieces == ["x", "\u0120", "0", "1", "2", "\u010a\u010a", "\u0120a"]


def test_llama_3_cuts_numbers_in_threes_and_merges_no_whole_token(
    tiny_model_folder: Path, tmp_path: Path, make_gguf: Callable[..., None]
) -> None:
    gguf = tmp_path / "llama3.gguf"
    make_gguf(tiny_model_folder, gguf, pre="llama-bpe")
    tokenizer: Any = load_tokenizer(resolve(load_config(f"model.path={gguf}").model))
    backend = tokenizer.backend_tokenizer
    pieces = [piece for piece, _span in backend.pre_tokenizer.pre_tokenize_str("x 01234\u00e9's")]
    assert pieces == ["x", "\u0120", "012", "34", "\u00c3\u00a9", "'s"]
    assert backend.model.ignore_merges and backend.normalizer is None


def test_llama_query_rows_are_put_back_in_order() -> None:
    heads, rows, columns = 2, 8, 3
    original = np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)
    interleaved = (
        original.reshape(heads, 2, rows // heads // 2, columns)
        .swapaxes(1, 2)
        .reshape(rows, columns)
    )
    assert not np.array_equal(interleaved, original)
    assert np.array_equal(_unpermute(interleaved, heads), original)


def test_a_file_cut_short_or_of_another_kind_is_an_error(tiny_gguf: Path, tmp_path: Path) -> None:
    for data in (tiny_gguf.read_bytes()[:40_000], b"not a GGUF file at all", b""):
        path = tmp_path / "damaged.gguf"
        path.write_bytes(data)
        with pytest.raises(AxiomError, match=r"damaged\.gguf is not a whole GGUF file"):
            open_gguf(path)


def test_an_unknown_tokenizer_is_an_error(
    tiny_model_folder: Path, tmp_path: Path, make_gguf: Callable[..., None]
) -> None:
    gguf = tmp_path / "other.gguf"
    make_gguf(tiny_model_folder, gguf, pre="gemma")
    with pytest.raises(AxiomError, match=r"tokenizer \('gemma'\) is not supported"):
        convert_gguf(gguf, tmp_path)
