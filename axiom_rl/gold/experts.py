"""Who decides which samples are gold: hidden tests, a search that never sees one, or a control.

| expert | takes of one problem's samples |
| --- | --- |
| hidden | those that pass all hidden tests |
| public | the survivors: those that pass every public test |
| vote | the survivors that return the same as the search's choice on every input |
| codet | the survivors that pass the same written tests as the search's choice |
| value | the search's choice, if it is a survivor |
| vote_value | as vote; where no vote could be taken, as value |
| all | every sample, whatever its verdict |
| shuffled | as many as hidden takes, the verdicts permuted among the problem's programs |
| wrong | those that fail a hidden test |

Always left out: answers that the token limit cut off, and answers without a program. A problem
without public tests has no gold by a search, and neither has one on which no vote could be taken.

The experts of a search are functions of `Material`, which has no place for a hidden or fresh test.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from axiom_rl.config import SELECTORS, SelectConfig
from axiom_rl.core.types import Problem, Solution, Status
from axiom_rl.gold.store import GoldStore, expert_solution, make_solution, normalise, program_of
from axiom_rl.rollouts.records import Rollout
from axiom_rl.search import registry
from axiom_rl.search.execute import FILE, Executions, gather
from axiom_rl.search.material import Material, sampled
from axiom_rl.search.public import PublicProblem, public_side
from axiom_rl.search.written import WrittenTests
from axiom_rl.verify import Verifier
from axiom_rl.verify.extract import split_thinking

Tests = tuple[int, int]
"""Passed and all of the tests that an expert saw of a sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Searching:
    """What an expert runs programs with."""

    config: SelectConfig
    folder: Path
    """Of the run; what programs returned is kept in its search/."""
    verifier: Verifier
    seed: int
    written: Callable[[Sequence[PublicProblem]], WrittenTests]
    """Lets the model write tests for these problems, each once."""
    valued: Callable[[Sequence[tuple[Problem, Rollout]]], Sequence[float]] | None
    """Each sample's probability to pass, in their order; None for an expert without a head."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gold:
    """A sample that an expert took."""

    rollout: Rollout
    tests: Tests


@dataclass(slots=True, kw_only=True)
class Expert:
    """Decides over the samples of one iteration, as they come."""

    name: str
    problems: Mapping[str, Problem]
    model_name: str
    stream: str
    """Name of the random stream of a control."""
    searching: Searching | None = None
    """Needed by the experts of a search."""
    _arrived: list[Rollout] = field(default_factory=list)
    _gold: dict[str, list[Gold]] = field(default_factory=dict)
    """By problem id."""

    def add(self, store: GoldStore, rollouts: Sequence[Rollout]) -> None:
        """See more samples, decide anew over their problems, and put the gold into the store."""
        self._arrived += rollouts
        seen: dict[str, list[Rollout]] = {item.completion.problem_id: [] for item in rollouts}
        for item in self._arrived:
            if item.completion.problem_id in seen:
                seen[item.completion.problem_id].append(item)
        self._gold |= self._decide(seen)
        self._put(store, seen)

    def fill(self, store: GoldStore) -> None:
        """Put all that is gold by now into a store.

        With more samples a vote may turn, so what `add` took at first need not be gold any more.
        """
        self._put(store, self._gold)

    @property
    def taken(self) -> int:
        """Samples that are gold, equal programs included."""
        return sum(map(len, self._gold.values()))

    def rates(self) -> dict[str, float]:
        """Return the share of each problem's samples that are gold."""
        seen = Counter(item.completion.problem_id for item in self._arrived)
        return {key: len(self._gold.get(key, ())) / count for key, count in seen.items()}

    def _put(self, store: GoldStore, keys: Container[str]) -> None:
        """Add the gold of some problems, in the order in which the samples came."""
        gold = {id(g.rollout): g for key, found in self._gold.items() if key in keys for g in found}
        for item in self._arrived:
            if id(item) in gold:
                store.add(self._solution(gold[id(item)]))

    def _solution(self, item: Gold) -> Solution:
        problem = self.problems[item.rollout.completion.problem_id]
        code, verdict = item.rollout.code or "", item.rollout.hidden
        text = item.rollout.completion.text
        said = split_thinking(text).reasoning
        if self.name == "hidden" and verdict is not None:
            return make_solution(problem, code, verdict, self.model_name, text, said)
        return expert_solution(problem, code, item.tests, self.model_name, text, self.name, said)

    def _decide(self, seen: Mapping[str, Sequence[Rollout]]) -> dict[str, list[Gold]]:
        if self.name in SELECTORS:
            return self._by_search(seen)
        return {
            key: by_verdict(self.name, items, f"{self.stream}/{key}") for key, items in seen.items()
        }

    def _by_search(self, seen: Mapping[str, Sequence[Rollout]]) -> dict[str, list[Gold]]:
        """Let the search see programs and public sides, and map its places back to samples."""
        if self.searching is None:
            raise ValueError(f"expert {self.name} needs a search")
        public = [public_side(self.problems[key]) for key in seen]
        with_tests = [problem for problem in public if problem.public_tests]
        samples = {
            problem.id: [sampled(item.completion, item.code) for item in seen[problem.id]]
            for problem in with_tests
        }
        search = self.searching
        written = search.written(with_tests).tests if search.config.written_tests else None
        materials = gather(
            Executions(search.folder / FILE, search.verifier),
            with_tests,
            samples,
            inputs=search.config.inputs,
            time_limit_s=search.config.time_limit_s,
            seed=search.seed,
            written=written,
        )
        if search.valued is not None:
            materials = self._with_values(materials, seen, search.valued)
        gold: dict[str, list[Gold]] = {key: [] for key in seen}
        for key, material in materials.items():
            for place, tests in agreeing(self.name, material).items():
                if is_row(seen[key][place]):
                    gold[key].append(Gold(rollout=seen[key][place], tests=tests))
        return gold

    def _with_values(
        self,
        materials: Mapping[str, Material],
        seen: Mapping[str, Sequence[Rollout]],
        valued: Callable[[Sequence[tuple[Problem, Rollout]]], Sequence[float]],
    ) -> dict[str, Material]:
        """Let a head judge the survivors, the only ones that can be gold; the others have 0.

        Samples are told apart by their places: rounds of search number theirs from 0 again.
        """
        read = [(key, place) for key, each in materials.items() for place in each.survivors]
        found = valued([(self.problems[key], seen[key][place]) for key, place in read])
        values = {key: [0.0] * len(each.samples) for key, each in materials.items()}
        for (key, place), value in zip(read, found, strict=True):
            values[key][place] = value
        return {key: replace(m, values=tuple(values[key])) for key, m in materials.items()}


def agreeing(name: str, material: Material) -> dict[int, Tests]:
    """Return the places of the samples that a search chooses or that agree with its choice.

    Args:
        name: public, vote, codet, value or vote_value.
        material: of one problem: all that the search may see.

    Returns:
        By place, in the order of the samples, the tests that the search saw: public ones, and with
        codet those that the model wrote.
    """
    survivors = material.survivors
    if not material.problem.public_tests or not survivors:
        return {}
    if name == "public":
        return {place: _tests(material, place) for place in survivors}
    choice = registry.get(name).choose(material, range(len(material.samples)))
    chosen = choice.place
    if chosen not in survivors:
        return {}
    if name == "value" or (name == "vote_value" and not choice.voters):
        places: Iterable[int] = (chosen,)
    elif not choice.voters:
        places = ()
    elif name == "codet":
        passed = material.written_passed
        places = [place for place in survivors if passed[place] == passed[chosen]]
    else:
        behaviour = material.classes
        places = [place for place in survivors if behaviour[place] == behaviour[chosen]]
    return {place: _tests(material, place, written=name == "codet") for place in places}


def _tests(material: Material, place: int, *, written: bool = False) -> Tests:
    passed, total = material.public_passed[place], len(material.problem.public_tests)
    if written:
        passed += len(material.written_passed[place])
        total += len(material.written)
    return passed, total


def by_verdict(name: str, items: Sequence[Rollout], stream: str) -> list[Gold]:
    """Return the gold of one problem by the hidden tests, or by a control.

    Args:
        name: hidden, all, shuffled or wrong.
        items: the problem's samples, in the order of the draw.
        stream: name of the random stream by which verdicts are permuted.

    Raises:
        ValueError: for another name.
    """
    rows = [item for item in items if is_row(item)]
    judged = [item for item in rows if item.hidden and not _is_fault(item)]
    match name:
        case "hidden":
            return [Gold(rollout=item, tests=_hidden(item)) for item in judged if passes(item)]
        case "wrong":
            return [Gold(rollout=item, tests=_hidden(item)) for item in judged if not passes(item)]
        case "all":
            return [Gold(rollout=item, tests=(0, 0)) for item in rows]
        case "shuffled":
            # Equal programs have one verdict, and the store keeps them once: it is programs that
            # change verdicts, so that a problem has as many solutions as by the hidden tests.
            programs: dict[str, Rollout] = {}
            for item in judged:
                programs.setdefault(normalise(item.code or ""), item)
            verdicts = [passes(item) for item in programs.values()]
            Random(stream).shuffle(verdicts)
            kept = zip(programs.values(), verdicts, strict=True)
            return [Gold(rollout=item, tests=(0, 0)) for item, verdict in kept if verdict]
        case other:
            raise ValueError(f"no expert by verdicts: {other}")


def is_row(item: Rollout) -> bool:
    """Whether an answer may be trained on at all: it ended by itself and holds a program.

    What a solutions file would read back as something else (stray fences) is no program.
    """
    code = item.code
    return (
        bool(code and code.strip() and program_of(code) == code) and not item.completion.truncated
    )


def passes(item: Rollout) -> bool:
    """Whether a sample passes all hidden tests."""
    return item.hidden is not None and item.hidden.passed


def _is_fault(item: Rollout) -> bool:
    return item.hidden is not None and item.hidden.status is Status.SANDBOX_FAULT


def _hidden(item: Rollout) -> Tests:
    """Verdicts read from disk have no cases, so passed tests are counted by their share."""
    verdict = item.hidden
    assert verdict is not None
    return round(verdict.pass_fraction * verdict.total_tests), verdict.total_tests
