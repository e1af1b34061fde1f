"""The tokenizer of a GGUF file, rebuilt as its authors published it.

transformers' own conversion (5.17) leaves out what the vocabulary alone does not say: which tokens
are markers, how digits are split, and for the llama architecture it confuses the end with the
beginning of a message. Here the pipeline is the one that `tokenizer.ggml.pre` names.
"""

from __future__ import annotations

from gguf import GGUFReader, TokenType
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)
from transformers import GenerationConfig, PreTrainedTokenizerFast

from axiom_rl.core.errors import AxiomError
from axiom_rl.models.weights.gguf.metadata import find_tensor, metadata

QWEN2_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Qwen2 and its successors cut text before byte-pair merging (part of the model)."""

LLAMA3_WORDS = QWEN2_WORDS.replace(r"\p{N}| ?", r"\p{N}{1,3}| ?")
"""How Llama 3 does: up to three digits together."""

ENDS = ("<|endoftext|>", "<|end_of_text|>", "<|eom_id|>", "<|eot_id|>")
"""Tokens that end a text wherever a vocabulary has them."""


def build_tokenizer(reader: GGUFReader) -> PreTrainedTokenizerFast:
    """Return the tokenizer, with its special tokens and chat template.

    Raises:
        AxiomError: for a kind of tokenizer other than Qwen2's, SmolLM's and Llama 3's, or a damaged
            one.
    """
    try:
        return _tokenizer(reader)
    except AxiomError:
        raise
    except Exception as error:  # the tokenizers library raises bare ones
        raise AxiomError(f"the GGUF file's tokenizer is damaged: {error}") from error


def _tokenizer(reader: GGUFReader) -> PreTrainedTokenizerFast:
    backend = _byte_pair_encoding(reader)
    match metadata(reader, "tokenizer.ggml.pre"):
        case "qwen2":
            backend.normalizer = normalizers.NFC()
            backend.pre_tokenizer = _cut_by(QWEN2_WORDS)
        case "llama-bpe":
            backend.pre_tokenizer = _cut_by(LLAMA3_WORDS)
            backend.model.ignore_merges = True  # what is a token as a whole is not merged
        case "smollm":
            backend.pre_tokenizer = pre_tokenizers.Sequence(
                [
                    pre_tokenizers.Digits(individual_digits=True),
                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
                ]
            )
        case other:
            raise AxiomError(
                f"the GGUF file's tokenizer ({other!r}) is not supported; give a folder in "
                "Hugging Face format as model.path instead"
            )
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.ByteLevel(trim_offsets=False)
    return _with_markers(backend, reader)


def _cut_by(words: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def generation_config(tokenizer: PreTrainedTokenizerFast, reader: GGUFReader) -> GenerationConfig:
    """Return when generation ends and what pads: the end of a message, or of the text."""
    named = [metadata(reader, f"tokenizer.ggml.{key}_token_id") for key in ("eot", "eom")]
    vocabulary = tokenizer.get_vocab()
    ends = [tokenizer.eos_token_id, *map(vocabulary.get, ENDS), *named]
    known = [end for end in dict.fromkeys(ends) if end is not None]
    return GenerationConfig(eos_token_id=known, pad_token_id=tokenizer.pad_token_id)


def _byte_pair_encoding(reader: GGUFReader) -> Tokenizer:
    tokens = metadata(reader, "tokenizer.ggml.tokens")
    kinds = metadata(reader, "tokenizer.ggml.token_type")
    merges = metadata(reader, "tokenizer.ggml.merges")
    if metadata(reader, "tokenizer.ggml.model") != "gpt2" or not tokens or not merges or not kinds:
        raise AxiomError("the GGUF file has no byte-level BPE tokenizer; only these are supported")
    embedding = find_tensor(reader, "token_embd.weight")
    if len(kinds) != len(tokens) or (embedding is not None and len(tokens) > embedding.shape[-1]):
        raise AxiomError(
            f"the GGUF file has {len(tokens)} tokens with {len(kinds)} types, and its embedding "
            "has room for fewer: it is damaged"
        )
    # Markers and padding entries at the end are not words: merging must never produce them.
    words = {t: i for i, t in enumerate(tokens) if kinds[i] == TokenType.NORMAL}
    markers = [i for i in range(len(tokens)) if kinds[i] in MARKER_KINDS]
    # Markers that stand inside the words' range keep their ids only if the vocabulary holds them.
    words |= {tokens[i]: i for i in markers if i < len(words)}
    backend = Tokenizer(models.BPE(vocab=words, merges=[tuple(m.split(" ")) for m in merges]))
    for index in markers:
        special = kinds[index] == TokenType.CONTROL
        backend.add_tokens([AddedToken(tokens[index], normalized=False, special=special)])
        if backend.token_to_id(tokens[index]) != index:
            raise AxiomError(f"the GGUF file's token {tokens[index]!r} cannot keep its id {index}")
    return backend


MARKER_KINDS = (TokenType.CONTROL, TokenType.USER_DEFINED)


def _with_markers(backend: Tokenizer, reader: GGUFReader) -> PreTrainedTokenizerFast:
    tokens = metadata(reader, "tokenizer.ggml.tokens")
    roles = {"bos": "bos", "eos": "eos", "padding": "pad", "unknown": "unk"}
    named = {
        f"{role}_token": tokens[number]
        for key, role in roles.items()
        if (number := metadata(reader, f"tokenizer.ggml.{key}_token_id")) is not None
    }
    if "eos_token" not in named:
        raise AxiomError("the GGUF file's tokenizer names no token that ends a text")
    architecture = metadata(reader, "general.architecture")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        clean_up_tokenization_spaces=False,
        model_max_length=metadata(reader, f"{architecture}.context_length"),
        **named,
    )
    tokenizer.chat_template = metadata(reader, "tokenizer.chat_template")
    return tokenizer
