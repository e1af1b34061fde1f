"""From the text of a completion to a verdict on the program in it."""

from axiom_rl.verify.extract import extract_code
from axiom_rl.verify.verifier import Verifier

__all__ = ["Verifier", "extract_code"]
