"""The search by Optuna: what it asks, every seed of it, and that a stopped search asks the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_sweep_jobs import launch

from axiom_rl.config import load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json
from axiom_rl.run.sweep_jobs import read_jobs
from axiom_rl.run.sweep_study import optuna, study_importance


def overrides(*texts: str) -> list:  # type: ignore[type-arg]
    from hydra.core.override_parser.overrides_parser import OverridesParser

    return OverridesParser.create().parse_overrides([*texts])


def asked(sweep: Path) -> list[tuple[str, ...]]:
    return [job.overrides for job in read_jobs(sweep)]


def test_the_overlay_composes_without_the_package() -> None:
    assert load_config("hparams_search=optuna", "seed=3").seed == 3


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(AxiomError, match=r"axiom-rl\[optuna\]"):
        optuna()


class TestWithOptuna:
    @pytest.fixture(autouse=True)
    def _needs_optuna(self) -> None:
        pytest.importorskip("optuna")

    def test_hydras_grammar_becomes_distributions(self) -> None:
        from axiom_rl.sweeps.space import space_of

        space = space_of(
            overrides(
                "trainer.args.learning_rate=1e-4",
                "trainer.args.learning_rate=tag(log, interval(1e-5, 1e-3))",
                "model.lora.r=8,16",
                "trainer.iterations=range(1,4)",
                "sampler.n=int(interval(2,8))",
                "sampler.temperature=interval(0.1,1.0)",
                "problems=easy",
                "seed=0,1",
            )
        )
        kinds = {key: type(d).__name__ for key, d in space.distributions.items()}
        assert kinds == {
            "trainer.args.learning_rate": "FloatDistribution",
            "model.lora.r": "CategoricalDistribution",
            "trainer.iterations": "IntDistribution",
            "sampler.n": "IntDistribution",
            "sampler.temperature": "FloatDistribution",
        }
        rate, turns = (space.distributions[k] for k in (*kinds,)[:3:2])
        assert (rate.low, rate.high, rate.log) == (1e-5, 1e-3, True)
        assert (turns.low, turns.high) == (1, 3)
        assert space.jobs({"sampler.n": 3}) == [
            ["problems=easy", "sampler.n=3", "seed=0"],
            ["problems=easy", "sampler.n=3", "seed=1"],
        ]
        with pytest.raises(AxiomError, match="nothing to search"):
            space_of(overrides("seed=0,1", "problems=easy"))

    @pytest.mark.slow
    def test_a_search_runs_every_seed_and_a_stopped_one_asks_the_same(self, tmp_path: Path) -> None:
        search = ("hparams_search=optuna", "seed=0,2", "hydra.sweeper.startup_trials=2")
        whole, stopped = tmp_path / "whole", tmp_path / "stopped"
        status, output = launch(
            *search, "hydra.sweeper.trials=5", f"hydra.sweep.dir={whole}", folder=tmp_path
        )
        assert status == 0, output
        assert len(asked(whole)) == 10
        first, second = asked(whole)[:2]
        assert first[:-1] == second[:-1] and (first[-1], second[-1]) == ("seed=0", "seed=2")
        document = read_json(whole / "sweep.json")
        values = [setting["score"]["value"] for setting in document["settings"]]
        assert len(values) == 5 and values == sorted(values, reverse=True)
        assert all(len(setting["by_seed"]) == 2 for setting in document["settings"])
        page = (whole / "sweep.md").read_text()
        assert "model.lora.r" in page and "trainer.args.learning_rate" in page

        launch(*search, "hydra.sweeper.trials=2", f"hydra.sweep.dir={stopped}", folder=tmp_path)
        assert asked(stopped) == asked(whole)[:4]
        launch(f"resume={stopped}", "hydra.sweeper.trials=5", folder=tmp_path)
        assert asked(stopped) == asked(whole)

    @pytest.mark.slow
    def test_a_failed_setting_is_left_out_and_mistakes_are_named(self, tmp_path: Path) -> None:
        sweep = tmp_path / "sweep"
        options = ("hparams_search=optuna", "name=good,crash", "hydra.sweeper.sampler=random")
        status, output = launch(
            *options, "hydra.sweeper.trials=4", f"hydra.sweep.dir={sweep}", folder=tmp_path
        )
        kinds = {job.parameters["name"]: job.status for job in read_jobs(sweep)}
        assert kinds == {"good": "done", "crash": "failed"} and status == 1, output
        for mistake, said in (
            ("hydra.sweeper.sampler=grid", "choose one of tpe, random"),
            ("hydra.sweeper.trials=0", "hydra.sweeper.trials=0: must be 1 or more"),
            ("hydra.sweeper.trails=3", "did you mean trials"),
        ):
            status, output = launch("hparams_search=optuna", mistake, folder=tmp_path)
            assert status == 2 and said in output and "Traceback" not in output

    def test_importance_is_that_of_the_study(self, tmp_path: Path) -> None:
        pytest.importorskip("sklearn")
        from axiom_rl.run.sweep_study import open_study

        assert study_importance(tmp_path) == {}
        study, package = open_study(tmp_path), optuna()
        kinds = package.distributions
        space = {"x": kinds.FloatDistribution(0, 1), "y": kinds.FloatDistribution(0, 1)}
        study.sampler = package.samplers.RandomSampler(seed=0)
        for _ in range(30):
            trial = study.ask(space)
            study.tell(trial, trial.params["x"])
        found = study_importance(tmp_path)
        assert [*found] == ["x", "y"] and found["x"] > 0.9
