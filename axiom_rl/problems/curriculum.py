"""Which training problems come next: a weighted, fair and resumable draw from a pool.

Each kind of curriculum is a rule that gives every problem a weight, from what was observed so far:

- uniform: all alike.
- ladder: stages of levels (1-3, 4-6, 7-10); the next opens when the recent pass rate is high.
- adaptive: each type has a level that moves up or down with the pass rate of its recent groups.
- pools: problems that are nearly always or never passed come rarely.

`focus` multiplies the weight of types by how weak they are. The next problem is the one drawn
least often for its weight, so every problem has its turn and the shares follow the weights.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from random import Random
from typing import Any

from axiom_rl.config import CurriculumConfig
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Problem

LEAST = 1e-6
"""Smallest weight: even a very large focus leaves every problem its turn."""
RARE = 0.1
"""Weight of a problem outside the pool of useful ones: it is still looked at now and then."""
LADDER = ((1, 3), (4, 6), (7, 10))
KINDS = ("uniform", "ladder", "adaptive", "pools")


class Curriculum:
    """Draws problems and learns from their pass rates."""

    def __init__(self, problems: Sequence[Problem], config: CurriculumConfig, seed: int) -> None:
        """Draw from `problems`.

        Raises:
            AxiomError: if there are none, or the kind is unknown.
        """
        if not problems:
            raise AxiomError("no problems to train on: set problems.sizes.train=1 or more")
        if config.kind not in KINDS:
            raise AxiomError(f"trainer.curriculum.kind={config.kind}: choose {', '.join(KINDS)}")
        self._problems = {problem.id: problem for problem in problems}
        self._config = config
        self._seed = seed
        self._draws = 0
        self._turns: dict[str, float] = {}
        """When a problem that was drawn has its next turn; one that was not has it now."""
        self._now = 0.0
        """Turn of the problem drawn last."""
        self._recent: dict[str, deque[float]] = defaultdict(self._window)
        """Pass rates by problem id, by type and of all (''), the newest last."""
        self._levels: dict[str, int] = {}
        """Adaptive: level by type. Ladder: stage, under ''."""

    def pick(self, count: int, skip: frozenset[str] = frozenset()) -> list[Problem]:
        """Return the next problems, `skip` left out; fewer only if the pool holds no more."""
        self._draws += 1
        random = Random(f"{self._seed}/curriculum/{self._draws}")
        weights = {key: self._weight(p) for key, p in self._problems.items() if key not in skip}
        turns = sorted(
            (max(self._turns.get(key, 0.0), self._now), random.random() / weight, key)
            for key, weight in weights.items()
            if weight > 0
        )[:count]
        for turn, _chance, key in turns:
            self._now = turn
            self._turns[key] = turn + 1 / weights[key]
        return [self._problems[key] for _turn, _chance, key in turns]

    def observe(self, problem_id: str, rate: float) -> None:
        """Take in the pass rate (0 to 1) of one group of samples."""
        problem = self._problems[problem_id]
        for key in (problem_id, f"type:{problem.type}"):
            self._recent[key].append(rate)
        match self._config.kind:
            case "ladder" if problem.difficulty in self._stage_levels(self._stage()):
                self._recent[""].append(rate)
                self._climb()
            case "adaptive" if problem.difficulty == self._level(problem.type):
                self._recent[f"level:{problem.type}"].append(rate)
                self._move(problem.type)
            case _:
                pass

    def state(self) -> dict[str, Any]:
        """Return everything that was learnt, as JSON."""
        recent = {key: list(rates) for key, rates in self._recent.items()}
        return {
            "draws": self._draws,
            "turns": dict(self._turns),
            "now": self._now,
            "recent": recent,
            "levels": dict(self._levels),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned."""
        self._draws = int(state["draws"])
        self._turns = {key: float(turn) for key, turn in state["turns"].items()}
        self._now = float(state["now"])
        self._levels = {key: int(level) for key, level in state["levels"].items()}
        self._recent.clear()
        for key, rates in state["recent"].items():
            self._recent[key].extend(rates)

    def summary(self) -> dict[str, float]:
        """Return the levels reached, for the log: by type (adaptive) or the ladder's stage."""
        match self._config.kind:
            case "ladder":
                return {"stage": self._stage()}
            case "adaptive":
                types = sorted({problem.type for problem in self._problems.values()})
                return {f"level_{name}": self._level(name) for name in types}
            case _:
                return {}

    def _window(self) -> deque[float]:
        return deque(maxlen=self._config.window)

    def _rate(self, key: str) -> float | None:
        rates = self._recent.get(key)
        return sum(rates) / len(rates) if rates else None

    def _weight(self, problem: Problem) -> float:
        weak = self._rate(f"type:{problem.type}")
        focus = (1 - weak if weak is not None else 1.0) if self._config.focus else 1.0
        weight: float = max(max(focus, RARE) ** self._config.focus, LEAST)
        match self._config.kind:
            case "ladder":
                return weight * (problem.difficulty in self._stage_levels(self._stage()))
            case "adaptive":
                return weight * (problem.difficulty == self._level(problem.type))
            case "pools":
                rate = self._rate(problem.id)
                useful = rate is None or self._config.low < rate < self._config.high
                return weight if useful else weight * RARE
            case _:
                return weight

    def _level(self, of: str) -> int:
        return self._levels.get(of, min(self._levels_of(of)))

    def _levels_of(self, of: str) -> list[int]:
        return sorted({p.difficulty for p in self._problems.values() if p.type == of})

    def _move(self, of: str) -> None:
        """Move a type to its next level up or down once a full window says so."""
        rates = self._recent[f"level:{of}"]
        if len(rates) < self._config.window:
            return
        levels, rate = self._levels_of(of), sum(rates) / len(rates)
        place = levels.index(self._level(of))
        place += (rate >= self._config.high) - (rate <= self._config.low)
        if 0 <= place < len(levels) and levels[place] != self._level(of):
            self._levels[of] = levels[place]
            rates.clear()

    def _stage(self) -> int:
        return self._levels.get("", min(self._stages()))

    def _stages(self) -> list[int]:
        """Return the stages of the ladder that have problems."""
        there = {problem.difficulty for problem in self._problems.values()}
        return [n for n in range(len(LADDER)) if there & set(self._stage_levels(n))]

    def _stage_levels(self, stage: int) -> range:
        low, high = LADDER[stage]
        return range(low, high + 1)

    def _climb(self) -> None:
        """Open the ladder's next stage that has problems once a full window is passed."""
        rates = self._recent[""]
        if len(rates) == self._config.window and sum(rates) / len(rates) >= self._config.high:
            later = [stage for stage in self._stages() if stage > self._stage()]
            if later:
                self._levels[""] = later[0]
                rates.clear()
