"""Loading a resolved model: number format, device, tokenizer and generation settings."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from axiom_rl.config import ModelConfig, load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.models import load as loading
from axiom_rl.models.load import choose_device, choose_dtype, load_model, load_tokenizer
from axiom_rl.models.tokenizers import text_of
from axiom_rl.models.weights.resolve import resolve
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.sampling.engine.settings import stop_tokens
from axiom_rl.verify import extract_code


@pytest.fixture
def resolved(model_config: ModelConfig, tiny_model_folder: Path, tmp_path: Path) -> ResolvedModel:
    """The tiny model in a folder that the test may change."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_model_folder, folder)
    return resolve(dataclasses.replace(model_config, path=str(folder)))


def test_auto_follows_the_processor_and_explicit_wins(
    resolved: ResolvedModel, model_config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_config.device = "cpu"
    for able, expected in ({"avx512_bf16": True}, torch.bfloat16), ({"avx2": True}, torch.float32):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: able)
        assert load_model(resolved, model_config)[0].dtype is expected
    model_config.dtype = "bfloat16"
    assert load_model(resolved, model_config)[0].dtype is torch.bfloat16
    assert load_model(resolved, model_config, dtype=torch.float32)[0].dtype is torch.float32


def test_the_model_is_ready_to_generate(resolved: ResolvedModel, model_config: ModelConfig) -> None:
    model, tokenizer = load_model(resolved, model_config)
    assert not model.training and model.config.use_cache
    assert tokenizer.padding_side == "left"
    assert model.lm_head.weight.data_ptr() == model.get_input_embeddings().weight.data_ptr()
    rows = tokenizer(["def f(x):", "x"], return_tensors="pt", padding=True)
    assert model.generate(**rows, max_new_tokens=3).shape[0] == 2


def test_published_sampling_settings_do_not_leak_into_generation(
    resolved: ResolvedModel, model_config: ModelConfig
) -> None:
    published = {"eos_token_id": [2, 0], "repetition_penalty": 1.1, "top_k": 20, "do_sample": True}
    (resolved.folder / "generation_config.json").write_text(json.dumps(published))
    model, _ = load_model(resolved, model_config)
    kept = model.generation_config
    assert kept is not None
    assert (kept.eos_token_id, kept.pad_token_id) == ([2, 0], 0)
    assert kept.repetition_penalty in (None, 1.0) and kept.top_k in (None, 50)
    assert not kept.do_sample


def test_a_base_model_without_a_chat_template_is_refused(resolved: ResolvedModel) -> None:
    (resolved.folder / "chat_template.jinja").unlink()
    with pytest.raises(AxiomError, match=r"no chat template.*instruction-tuned"):
        load_tokenizer(resolved)


def test_a_tokenizer_is_read_once_and_anew_when_it_is_another(resolved: ResolvedModel) -> None:
    (resolved.folder / "special_tokens_map.json").unlink(missing_ok=True)
    pruned = resolved.folder / "special_tokens_map.json"
    pruned.symlink_to(
        resolved.folder / "blobs" / "gone"
    )  # as a Hub cache that was tidied up has it
    first = load_tokenizer(resolved)
    assert load_tokenizer(resolved) is first
    terse = dataclasses.replace(
        resolved, chat_template="{% for m in messages %}{{ m.content }}{% endfor %}"
    )
    assert load_tokenizer(terse).chat_template == terse.chat_template != first.chat_template
    template = resolved.folder / "chat_template.jinja"
    template.write_text(template.read_text() + "{# changed #}")
    assert str(load_tokenizer(resolved).chat_template).endswith("{# changed #}")


def test_a_tokenizer_without_a_pad_token_gets_one(resolved: ResolvedModel) -> None:
    settings = resolved.folder / "tokenizer_config.json"
    fields = json.loads(settings.read_text())
    del fields["pad_token"]
    settings.write_text(json.dumps(fields))
    assert load_tokenizer(resolved).pad_token == "<|endoftext|>"


def test_what_is_not_to_be_had_is_an_error_that_says_what_to_type(
    resolved: ResolvedModel, model_config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(AxiomError, match=r"model\.device=cuda: .*model\.device=auto"):
        choose_device("cuda")
    with pytest.raises(AxiomError, match=r"model\.device=gpu: must be auto, cuda, mps, cpu"):
        choose_device("gpu")
    with pytest.raises(AxiomError, match=r"model\.dtype=fp16: must be auto, bfloat16, float32"):
        choose_dtype("fp16", torch.device("cpu"))
    quantized = dataclasses.replace(model_config, quantization="4bit", device="cpu")
    with pytest.raises(AxiomError, match=r"4bit needs an NVIDIA GPU.*quantization=none"):
        load_model(resolved, quantized)
    with pytest.raises(AxiomError, match=r"model\.quantization=8bit: must be none or 4bit"):
        load_model(resolved, dataclasses.replace(model_config, quantization="8bit"))
    monkeypatch.setattr(loading.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(AxiomError, match=r"pip install 'axiom-rl\[quantization\]'"):
        loading._four_bit(torch.device("cuda"), torch.bfloat16)


def test_auto_takes_one_gpu_of_nvidia_else_the_cpu_and_says_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto").type == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    loading._say_untried.cache_clear()
    with caplog.at_level("INFO"):
        assert [choose_device("auto").type for _ in range(2)] == ["cpu", "cpu"]
    assert caplog.text.count("model.device=mps to try it") == 1
    assert choose_device("mps").type == "mps"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "NVIDIA H100")
    named = loading.describe_device(torch.device("cuda"))
    assert named == "cuda (NVIDIA H100, 2 more not used)"


@pytest.mark.parametrize("marks", [("<think>", "</think>"), ("[THINK]", "[/THINK]")])
def test_thinking_between_special_tokens_is_told_from_the_answer(
    tiny_model_folder: Path, marks: tuple[str, str]
) -> None:
    """Left out as other special tokens are, what was thought would read as the answer."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_folder)
    tokenizer.add_special_tokens({"additional_special_tokens": [*marks, "<|tool|>"]})
    thought = f"{marks[0]}\ndef f(x):\n    return 0\n"
    answer = "def f(x):\n    return 'é' , x\n"
    for text in (f"{thought}{marks[1]}\n{answer}", thought, answer, ""):
        tokens = tokenizer(f"<|tool|>{text}<|im_start|>")["input_ids"]
        assert text_of(tokenizer, tokens) == text
    assert extract_code(thought, "f") is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_tokens_that_end_a_text_are_read_in_any_encoding(
    tiny_model_folder: Path, tmp_path: Path, encoding: str
) -> None:
    """transformers takes none of a file that it cannot read, and says nothing."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_model_folder, folder)
    text = json.dumps({"eos_token_id": [1, 2, 7]})
    (folder / "generation_config.json").write_text(text, encoding=encoding)
    config = load_config(f"model.path={folder}", "model.device=cpu").model
    model, tokenizer = load_model(resolve(config), config)
    assert set(model.generation_config.eos_token_id) == {1, 2, 7}
    assert set(stop_tokens(folder, tokenizer)) == {1, 2, 7}
