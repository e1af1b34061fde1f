"""A GPU that is not there: what runs on it computes on the CPU, and errs where CUDA would.

Tensors made on or moved to `cuda` are `OnGpu`: they say that they lie there, and hold CPU numbers.
An operation that mixes them with tensors of the CPU is the error that CUDA gives; so is reading one
by numpy. A CUDA graph is a list of operations, done again at each replay in the same tensors: what
the capture itself would have changed is undone, and in a capture nothing may be read back or copied
over from the host. Times, streams and what kernels round are not imitated.

Where a GPU is, tests take that one instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import torch
import torch._dynamo  # before torch.cuda is another: it looks all functions up when it is imported
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

CARD = torch.device("cuda", 0)
BYTES = 12 * 10**9
"""Memory of the card."""
AT_HOME = {"copy_", "_to_copy", "set_", "is_same_size"}
"""Operations between host and device."""
INDICES = {"index", "index_put_", "index_put", "_unsafe_index", "_index_put_impl_"}
"""Operations whose index tensors may lie on the host."""
HOST_READS = {"_local_scalar_dense", "nonzero", "masked_select", "equal"}
"""Operations that the host waits for."""


class OnGpu(torch.Tensor):
    """A tensor on the card; autograd takes it for one on `meta`, which has no streams."""

    numbers: torch.Tensor

    @staticmethod
    def __new__(cls, numbers: torch.Tensor) -> OnGpu:
        made: Any = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            numbers.size(),
            strides=numbers.stride(),
            storage_offset=numbers.storage_offset(),
            dtype=numbers.dtype,
            device="meta",
        )
        made.numbers = numbers
        return made  # type: ignore[no-any-return]

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return CARD

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return True

    @property
    def is_meta(self) -> bool:  # type: ignore[override]
        return False

    def tolist(self) -> Any:
        _host_reads("tolist")
        return self.numbers.tolist()

    def data_ptr(self) -> int:
        return self.numbers.data_ptr()

    def untyped_storage(self) -> Any:
        return self.numbers.untyped_storage()

    def is_pinned(self, *_: Any) -> bool:
        return False

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"OnGpu({tuple(self.shape)}, {self.dtype})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class FakeGraph:
    """A CUDA graph: operations with their arguments and what they gave out."""

    recording: FakeGraph | None = None
    replays = 0
    """Of all graphs."""

    def __init__(self) -> None:
        self.steps: list[tuple[Any, Any, Any, Any]] = []
        self.before: list[tuple[torch.Tensor, torch.Tensor]] = []

    def pool(self) -> int:
        return 0

    def replay(self) -> None:
        FakeGraph.replays += 1
        for func, args, kwargs, given in self.steps:
            again = func(*tree_map(_numbers, args), **tree_map(_numbers, kwargs))
            for old, new in zip(tree_leaves(given), tree_leaves(again), strict=True):
                if isinstance(old, torch.Tensor) and not _shares(old, new):
                    old.copy_(new)

    @contextmanager
    def captured(self) -> Iterator[None]:
        """Record what is done; undo it at the end, since a capture computes nothing."""
        FakeGraph.recording = self
        try:
            yield
        finally:
            FakeGraph.recording = None
            for tensor, old in reversed(self.before):
                tensor.copy_(old)
            self.before.clear()


def _shares(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


def _host_reads(name: str) -> None:
    if FakeGraph.recording is not None:
        raise RuntimeError(f"{name}: operation not permitted when stream is capturing")


def _numbers(value: Any) -> Any:
    return value.numbers if isinstance(value, OnGpu) else value


def _on_card(kwargs: Any) -> bool:
    return kwargs.get("device") is not None and torch.device(kwargs["device"]).type == "cuda"


def _is_card(device: Any) -> bool:
    return torch.device(device).type in ("cuda", "meta")  # meta: as autograd sees these tensors


def _check(func: Any, leaves: list[Any], args: Any, name: str, *, moves: bool) -> None:
    """Refuse what CUDA refuses."""
    here = [x for x in leaves if isinstance(x, torch.Tensor) and not isinstance(x, OnGpu)]
    there = [x for x in leaves if isinstance(x, OnGpu)]
    if name in HOST_READS or (here and (there or moves)):
        _host_reads(name)
    if not (here and there) or moves or name in AT_HOME:
        return
    if name in INDICES and isinstance(args[0], OnGpu):
        here = _values(args)
    if any(x.dim() for x in here):
        shapes = [tuple(x.shape) for x in here]
        raise RuntimeError(
            f"{func}: expected all tensors to be on the same device, but found at least two "
            f"devices, cuda:0 and cpu! (on the CPU: {shapes})"
        )


def _is_meta(device: Any, leaves: list[Any]) -> bool:
    """Whether a tensor really is to have no numbers, as those of a model that is being loaded."""
    if device is not None:
        return torch.device(device).type == "meta"
    return any(isinstance(x, torch.Tensor) and x.device.type == "meta" for x in leaves)


def _values(args: Any) -> list[torch.Tensor]:
    """The values that an index_put writes; its indices may lie on the host."""
    values = args[2] if len(args) > 2 else None
    on_host = isinstance(values, torch.Tensor) and not isinstance(values, OnGpu)
    return [values] if on_host else []


def _run(func: Any, args: Any, kwargs: Any) -> Any:
    name = func._schema.name.partition("::")[2]
    leaves = tree_leaves((args, kwargs))
    device = kwargs.get("device")
    there = any(isinstance(x, OnGpu) for x in leaves)
    # A scalar on `meta` is one that torch itself makes beside a tensor of the card.
    if not there and name != "scalar_tensor" and _is_meta(device, leaves):
        return func(*args, **kwargs)
    moves = name == "_to_copy" and device is not None and _is_card(device) is not there
    _check(func, leaves, args, name, moves=moves)
    if device is not None:
        there = _is_card(device)
        kwargs = {**kwargs, "device": torch.device("cpu")}
    if moves and not there:
        _host_reads(name)
    kwargs = {key: value for key, value in kwargs.items() if key != "non_blocking"}
    graph = FakeGraph.recording
    if graph is not None and func._schema.is_mutable:
        _keep(graph, func, args, kwargs)
    plain, options = tree_map(_numbers, args), tree_map(_numbers, kwargs)
    given = func(*plain, **options)
    if graph is not None and there:
        graph.steps.append((func, args, kwargs, given))
    known = {id(x.numbers): x for x in leaves if isinstance(x, OnGpu)}
    # What shares its argument's numbers is the argument (in place), everything else is new.
    return tree_map(lambda x: _wrapped(x, known) if there else x, given)


def _keep(graph: FakeGraph, func: Any, args: Any, kwargs: Any) -> None:
    for place, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = args[place] if place < len(args) else kwargs.get(argument.name)
            for tensor in tree_leaves(value):
                if isinstance(tensor, OnGpu):
                    graph.before.append((tensor.numbers, tensor.numbers.clone()))


def _wrapped(value: Any, known: dict[int, OnGpu]) -> Any:
    if not isinstance(value, torch.Tensor) or isinstance(value, OnGpu):
        return value
    return known.get(id(value)) if id(value) in known else OnGpu(value)


class _Dispatch(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Functions(TorchFunctionMode):
    """`to` keeps what is there already, as on a real device, and knows `cuda` without a number."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.Tensor.cuda:
            return args[0].to(CARD)
        if func is torch.Tensor.to:
            return self._to(args, kwargs)
        if func in (torch.Tensor.__getitem__, torch.Tensor.__setitem__):
            args = (args[0], _index(args[1]), *args[2:])
        if func is torch.Tensor.__setitem__ and not isinstance(args[2], torch.Tensor):
            value = torch.tensor(args[2], dtype=args[0].dtype)  # else torch makes one on `meta`
            args = (*args[:2], OnGpu(value) if isinstance(args[0], OnGpu) else value)
        if func is torch.nn.functional.scaled_dot_product_attention:
            return _attention(*args, **kwargs)
        if func in (torch.tensor, torch.as_tensor) and _on_card(kwargs):
            made = func(*args, **{k: v for k, v in kwargs.items() if k != "device"})
            return made.to(CARD)
        return func(*args, **kwargs)

    def _to(self, args: Any, kwargs: Any) -> Any:
        tensor, *others = args
        if others and isinstance(others[0], torch.Tensor):
            others = [others[0].device, others[0].dtype, *others[1:]]
        device = kwargs.get("device", others[0] if others else None)
        if isinstance(device, str | int | torch.device):
            asked = torch.device(device)
            card = CARD if asked.type == "cuda" else asked
            if "device" in kwargs:
                kwargs = {**kwargs, "device": card}
            else:
                others = [card, *others[1:]]
            wanted = [*others, *kwargs.values()]
            dtype = next((x for x in wanted if isinstance(x, torch.dtype)), tensor.dtype)
            if isinstance(tensor, OnGpu) and card == CARD and dtype == tensor.dtype:
                return tensor
        return torch.Tensor.to(tensor, *others, **kwargs)


def _index(index: Any) -> Any:
    """Lists as tensors of the host, as a real device gets them."""
    if isinstance(index, tuple):
        return tuple(_index(part) for part in index)
    return torch.tensor(index) if isinstance(index, list) else index


def _attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    """torch's own makes its causal mask by itself, on the device that autograd sees."""
    assert not dropout_p
    if enable_gqa:
        times = query.shape[1] // key.shape[1]
        key, value = (states.repeat_interleave(times, dim=1) for states in (key, value))
    scores = query @ key.transpose(-1, -2) * (scale or query.shape[-1] ** -0.5)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=query.device).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    elif attn_mask is not None:
        assert attn_mask.dtype == query.dtype, "invalid dtype for bias"
        scores = scores + attn_mask
    return scores.softmax(-1) @ value


class _Stream:
    def wait_stream(self, _other: Any) -> None:
        """Everything is done in its order."""


def _instead(patch: pytest.MonkeyPatch) -> None:
    """Let torch.cuda answer for the card."""

    @contextmanager
    def graph(made: FakeGraph, **_: Any) -> Iterator[None]:
        with made.captured():
            yield

    @contextmanager
    def stream(_stream: Any) -> Iterator[None]:
        yield

    def nothing(*_args: Any, **_options: Any) -> None:
        return None

    found: dict[str, Any] = {
        "_lazy_init": nothing,
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "is_bf16_supported": lambda *_a, **_o: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "set_device": nothing,
        "empty_cache": nothing,
        "synchronize": nothing,
        "manual_seed_all": nothing,
        "get_device_name": lambda *_: "No card at all",
        "get_device_capability": lambda *_: (9, 0),
        "mem_get_info": lambda *_: (BYTES, BYTES),
        "memory_reserved": lambda *_: 0,
        "memory_allocated": lambda *_: 0,
        "max_memory_reserved": lambda *_: 0,
        "max_memory_allocated": lambda *_: 0,
        "reset_peak_memory_stats": nothing,
        "get_per_process_memory_fraction": lambda *_: 1.0,
        "current_stream": lambda *_: _Stream(),
        "Stream": _Stream,
        "stream": stream,
        "CUDAGraph": FakeGraph,
        "graph": graph,
        "get_rng_state_all": list,
        "get_rng_state": lambda *_: torch.zeros(0, dtype=torch.uint8),
        "set_rng_state_all": nothing,
        "set_rng_state": nothing,
    }
    # Tensors made in inference mode cannot be of a class of ours.
    patch.setattr(torch._C, "_InferenceMode", lambda _mode: torch.no_grad())
    for name, value in found.items():
        patch.setattr(torch.cuda, name, value)


@contextmanager
def a_gpu() -> Iterator[torch.device]:
    """Have a GPU for a while: the real one, or one that is not there."""
    if torch.cuda.is_available():
        yield CARD
        return
    with pytest.MonkeyPatch.context() as patch, ExitStack() as modes:
        _instead(patch)
        modes.enter_context(_Functions())
        modes.enter_context(_Dispatch())
        yield CARD
