"""Fixtures that more than one room uses: a tiny real model and tokenizer, made on the spot."""

from __future__ import annotations

import functools
import gc
import importlib.metadata
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import quick_hydra

if TYPE_CHECKING:
    from axiom_rl.models.weights.source import ResolvedModel

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before transformers is imported: tests fetch nothing
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as launch.py: no spinning on a busy machine
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # no threads before a fork
if "PYTEST_XDIST_WORKER" in os.environ:  # workers fill the cores; tiny models gain no thread
    os.environ.setdefault("OMP_NUM_THREADS", "1")

quick_hydra.install()
# transformers and TRL each ask which package every installed file is of: a second of reading.
importlib.metadata.packages_distributions = functools.cache(
    importlib.metadata.packages_distributions
)

FIRST = ("trainers", "docs", "gold", "search")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Longest files first, so that workers, which take one file after the other, end together."""
    items.sort(key=lambda item: item.path.parent.name not in FIRST)


def pytest_collection_finish() -> None:
    """Take the libraries out of the garbage collector's sight.

    A run frees memory between its phases; each time it would look through a million of their
    objects, which takes longer than what the tiny model does in between.
    """
    gc.collect()
    gc.freeze()


CHAT_TEMPLATE = """\
{%- if messages[0]['role'] != 'system' -%}
<|im_start|>system
You write Python.<|im_end|>
{% endif -%}
{%- for message in messages -%}
<|im_start|>{{ message['role'] }}
{{ message['content'] }}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}
"""

CORPUS = [
    "def two_sum(nums, target):\n    for i in range(len(nums)):\n        return i\n",
    "```python\ndef is_palindrome(s):\n\treturn s == s[::-1]\n```\n",
    "Write a Python function that returns the sum of a list of integers.\n",
    "class Stack:\n    def __init__(self):\n        self.items = []\n\n\n",
    "system user assistant You write Python. if else while None True False 0123456789\n",
]


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in Hugging Face format: Qwen2 architecture, about 0.1 M random float32 weights.

    Two layers, hidden size 64, 4 heads with 2 key-value heads, tied embeddings; a byte-level BPE
    tokenizer (any text round-trips) with ChatML markers; eos <|im_end|>, pad <|endoftext|>.
    """
    folder = tmp_path_factory.mktemp("tiny-qwen2")
    save_tiny_tokenizer(folder)
    save_tiny_model(folder)
    return folder


@pytest.fixture(scope="session")
def resolved(tiny_model_folder: Path) -> ResolvedModel:
    """The model of `tiny_model_folder`, found and hashed."""
    from axiom_rl.models.weights.source import ResolvedModel, weights_sha256

    return ResolvedModel(
        name="tiny",
        folder=tiny_model_folder,
        source="path",
        format="safetensors float32",
        sha256=weights_sha256(tiny_model_folder),
        revision="",
    )


@pytest.fixture(scope="session")
def wide_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with hidden size 128 and heads of 64, the smallest that vLLM has a kernel for."""
    folder = tmp_path_factory.mktemp("wide-qwen2")
    save_tiny_tokenizer(folder)
    save_tiny_model(folder, hidden_size=128, num_attention_heads=2, num_key_value_heads=1)
    return folder


def save_tiny_tokenizer(folder: Path) -> None:
    """Train and save the tokenizer of `tiny_model_folder`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=384,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(CORPUS, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        clean_up_tokenization_spaces=False,
        model_max_length=1024,
    )
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)


def save_tiny_model(folder: Path, *, seed: int = 0, **changes: int) -> None:
    """Save the model of `tiny_model_folder`; other seeds give other weights."""
    import torch
    from transformers import (
        GenerationConfig,
        PreTrainedTokenizerFast,
        Qwen2Config,
        Qwen2ForCausalLM,
    )

    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    ids = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    sizes = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=None,
        **(sizes | changes),
        **ids,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen2ForCausalLM(config)
    model.generation_config = GenerationConfig(**ids)
    model.save_pretrained(folder)
