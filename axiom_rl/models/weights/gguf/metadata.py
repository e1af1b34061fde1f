"""Look-ups in a GGUF file."""

from __future__ import annotations

from typing import Any

from gguf import GGUFReader, ReaderTensor


def metadata(reader: GGUFReader, key: str, default: Any = None) -> Any:
    """Return one metadata value of the file, or `default` where it has none."""
    field = reader.fields.get(key)
    return default if field is None else field.contents()


def find_tensor(reader: GGUFReader, name: str) -> ReaderTensor | None:
    """Return the tensor of that name, or None."""
    return next((tensor for tensor in reader.tensors if tensor.name == name), None)
