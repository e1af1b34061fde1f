"""Inference-time search: choosing among a model's samples by what a user has, never a hidden test.

A selector of your own is a function of `Material` and places, entered by `register` in a module
that `search.imports` names.
"""

from axiom_rl.search import selectors as _selectors  # noqa: F401 (registers those built in)
from axiom_rl.search.material import Answer, Material, Sampled
from axiom_rl.search.public import PublicProblem, public_side
from axiom_rl.search.registry import Choice, register

__all__ = ["Answer", "Choice", "Material", "PublicProblem", "Sampled", "public_side", "register"]
