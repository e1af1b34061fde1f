"""The copy that samples is exactly base plus adapter, and the base is never touched."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import peft
import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from axiom_rl.config import TransformersSamplerConfig, load_config
from axiom_rl.models.load import load_model
from axiom_rl.models.lora.merged_copy import MergedCopy
from axiom_rl.models.lora.options import new_lora, save_adapter
from axiom_rl.models.prepacked import PrepackedLinear
from axiom_rl.models.weights.source import ResolvedModel
from axiom_rl.sampling import SampleRequest
from axiom_rl.sampling.hf.sampler import TransformersSampler

DTYPES = (torch.float32, torch.bfloat16)


def digest(tensors: Iterable[tuple[str, torch.Tensor]]) -> str:
    found = hashlib.sha256()
    for name, tensor in tensors:
        found.update(name.encode())
        found.update(tensor.detach().contiguous().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def frozen(model: peft.PeftModel) -> Iterable[tuple[str, torch.Tensor]]:
    return ((n, p) for n, p in model.named_parameters() if not p.requires_grad)


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """All weights by their plain names, those that are prepacked too."""
    packed = {
        f"{name}.weight": module.weight
        for name, module in model.named_modules()
        if isinstance(module, PrepackedLinear)
    }
    return packed | dict(model.named_parameters())


def train_a_little(model: peft.PeftModel, step: int) -> None:
    made = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.02 * torch.randn(parameter.shape, generator=made).to(parameter)


@pytest.mark.parametrize(
    ("dtype", "syncs"),
    [
        (torch.bfloat16, 10),
        *(pytest.param(dtype, 500, marks=pytest.mark.slow) for dtype in DTYPES),
    ],
)
def test_many_syncs_leave_the_base_and_every_merge_exact(
    resolved: ResolvedModel, tmp_path: Path, dtype: torch.dtype, syncs: int
) -> None:
    config = load_config("model.device=cpu", "model.lora.r=4").model
    base, tokenizer = load_model(resolved, config, dtype=dtype)
    copy = MergedCopy(base)
    torch.manual_seed(0)
    model = new_lora(base, config.lora)
    before, seen = digest(frozen(model)), set()
    for step in range(syncs):
        train_a_little(model, step)
        copy.sync(model)
        if step % (syncs // 5) == 0:
            seen.add(digest(weights(copy.model).items()))
    assert digest(frozen(model)) == before
    assert len(seen) == 5, "every sync brought the adapter's new weights"

    save_adapter(model, tmp_path / "adapter", resolved)
    plain = AutoModelForCausalLM.from_pretrained(resolved.folder, dtype=dtype)
    merged = peft.PeftModel.from_pretrained(plain, tmp_path / "adapter").merge_and_unload()
    ours = weights(copy.model)
    for name, weight in merged.named_parameters():
        assert torch.equal(weight, ours[name]), name

    texts = greedy(copy, tokenizer)
    reference = PreTrainedTokenizerFast.from_pretrained(resolved.folder)
    assert texts == [generate(merged, reference, text) for text in PROMPTS]


PROMPTS = [f"Write the function number {n}." for n in range(64)]


def greedy(copy: MergedCopy, tokenizer: object) -> list[str]:
    config = load_config("sampler.temperature=0", "sampler.max_new_tokens=12").sampler
    assert isinstance(config, TransformersSamplerConfig)
    requests = [
        SampleRequest(
            problem_id=str(number),
            messages=({"role": "user", "content": text},),
            samples=(0,),
            stream="0",
        )
        for number, text in enumerate(PROMPTS)
    ]
    sampler = TransformersSampler(copy.model, tokenizer, config)  # type: ignore[arg-type]
    found = {item.problem_id: item.text for item in sampler.sample(requests)}
    return [found[str(number)] for number in range(len(PROMPTS))]


def generate(model: torch.nn.Module, tokenizer: object, text: str) -> str:
    chat = [{"role": "user", "content": text}]
    ids = tokenizer.apply_chat_template(  # type: ignore[attr-defined]
        chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    out = model.generate(**ids, max_new_tokens=12, do_sample=False)  # type: ignore[operator]
    new = out[0, ids["input_ids"].shape[1] :]
    return str(tokenizer.decode(new, skip_special_tokens=True))  # type: ignore[attr-defined]


def test_only_what_an_adapter_changes_is_copied(resolved: ResolvedModel) -> None:
    base, _ = load_model(resolved, load_config("model.device=cpu").model)
    copy = MergedCopy(base)
    own = {p.data_ptr() for p in base.parameters()}
    shared = [n for n, p in copy.model.named_parameters() if p.data_ptr() in own]
    assert shared and all("norm" in name or "embed" in name for name in shared)
    assert copy.model.config is not base.config
    assert not any(p.requires_grad for p in copy.model.parameters())
