"""The tiny model and tokenizer that stand in for real ones in the tests."""

from __future__ import annotations

from pathlib import Path

from transformers import AutoModelForCausalLM, AutoTokenizer


def test_the_tiny_tokenizer_round_trips_code_and_ends_its_prompt_for_the_assistant(
    tiny_model_folder: Path,
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_folder)
    code = "def f(x):\n\tif x:\n        return 'é'  # 中\n"
    assert tokenizer.decode(tokenizer(code).input_ids) == code
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "hello"}], tokenize=False, add_generation_prompt=True
    )
    assert text == (
        "<|im_start|>system\nYou write Python.<|im_end|>\n"
        "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"
    )
    markers = tokenizer("<|im_start|><|im_end|><|endoftext|>").input_ids
    assert len(markers) == 3 and markers[1:] == [tokenizer.eos_token_id, tokenizer.pad_token_id]


def test_the_tiny_model_generates_and_ties_its_embeddings(tiny_model_folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_folder)
    assert model.lm_head.weight.data_ptr() == model.get_input_embeddings().weight.data_ptr()
    out = model.generate(**tokenizer("def f", return_tensors="pt"), max_new_tokens=4)
    assert out.shape[1] > 0
