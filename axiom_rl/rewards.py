"""Reward functions by name; `register` adds your own. They live in `axiom_rl.rollouts.rewards`."""

from axiom_rl.rollouts.rewards import Reward, binary, fraction, get, register

__all__ = ["Reward", "binary", "fraction", "get", "register"]
