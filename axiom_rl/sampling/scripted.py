"""A sampler that answers from a script: the whole loop without a model, for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from axiom_rl.core.types import Completion
from axiom_rl.sampling.base import SampleRequest

Script = Mapping[str, Sequence[str]] | Callable[[SampleRequest, int], str]
"""Texts by problem id, of which sample i gets number i (round and round), or a function of the
request and the sample."""


class ScriptedSampler:
    """Gives the texts of a script, request by request; tokens are words."""

    def __init__(self, script: Script) -> None:
        """Answer from `script`."""
        self._script = script

    def sample(
        self, requests: Sequence[SampleRequest], *, temperature: float | None = None
    ) -> Iterator[Completion]:
        """Yield one completion per requested sample, in order; the temperature is ignored.

        Raises:
            KeyError: for a problem that the script does not name.
        """
        for request in requests:
            for sample in request.samples:
                text = self._answer(request, sample)
                yield Completion(
                    problem_id=request.problem_id,
                    sample=sample,
                    text=text,
                    prompt_tokens=sum(len(each["content"].split()) for each in request.messages),
                    completion_tokens=len(text.split()),
                    truncated=False,
                )

    def _answer(self, request: SampleRequest, sample: int) -> str:
        if callable(self._script):
            return self._script(request, sample)
        texts = self._script[request.problem_id]
        return texts[sample % len(texts)]
