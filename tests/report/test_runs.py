from __future__ import annotations

import pytest
from fake_run import SAMPLER, evaluation, make_run

from axiom_rl.config import load_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.text import percent
from axiom_rl.evaluation.score import read_evaluation, write_evaluation
from axiom_rl.report.runs import compare_runs

LOW = {f"type_{i}": 0.2 for i in range(8)}
HIGH = {f"type_{i}": 0.9 for i in range(8)}


def test_evaluation_files_are_compared_with_the_first(tmp_path):
    for name, rates, seed in (("a", LOW, 0), ("b", HIGH, 1), ("c", LOW, 2)):
        write_evaluation(tmp_path / f"{name}.json", evaluation(rates, seed=seed))
    headline = compare_runs([tmp_path / f"{n}.json" for n in "abc"], tmp_path / "out")
    assert "b is better than a" in headline
    assert "Cannot tell from this much data whether c is better than a" in headline
    text = (tmp_path / "out" / "comparison.md").read_text()
    assert "Bonferroni" in text
    assert "c against a" in (tmp_path / "out" / "comparison.html").read_text()


def test_run_folders_count_with_their_last_evaluation(tmp_path):
    one, two = make_run(tmp_path / "one"), make_run(tmp_path / "two", iterations=2)
    (two / "config.yaml").write_text("name: train\nseed: 1\nstage:\n  kind: train\n")
    headline = compare_runs([one, two], tmp_path)
    assert "whether two is better than one" in headline
    assert "+seed: 1" in (tmp_path / "comparison.md").read_text()


def test_a_training_run_that_did_not_end_does_not_count_as_its_base_model(tmp_path):
    run, other = make_run(tmp_path / "run"), make_run(tmp_path / "other")
    (run / "config.yaml").write_text("stage:\n  kind: train\n")
    for file in run.glob("evaluation/*.json"):
        if file.stem != "before":
            file.unlink()
    with pytest.raises(AxiomError, match=r"not evaluated after training; finish it with resume="):
        compare_runs([other, run], tmp_path)


def test_types_and_levels_are_shown_where_they_group_problems(tmp_path, sampled_evaluations):
    before, after = sampled_evaluations
    write_evaluation(tmp_path / "old.json", before)
    write_evaluation(tmp_path / "new.json", after)
    compare_runs([tmp_path / "old.json", tmp_path / "new.json"], tmp_path)
    text = (tmp_path / "comparison.md").read_text()
    assert "| lis | 20 |" in text
    assert "| level 2 | 21 |" in text


def test_adapters_count_with_their_own_evaluation(tmp_path):
    run = make_run(tmp_path / "run", iterations=2)
    folders = [run / "checkpoints" / "iter_1" / "adapter", run / "adapter"]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "adapter_config.json").write_text("{}")
    headline = compare_runs(folders, tmp_path / "out")
    assert "adapter is better than checkpoints/iter_1/adapter" in headline
    first = read_evaluation(run / "evaluation" / "iter_1.json").pass_at_1.value
    last = read_evaluation(run / "evaluation" / "after.json").pass_at_1.value
    assert f"{percent(first)} → {percent(last)}" in headline


def test_jobs_of_a_sweep_are_called_jobs(tmp_path):
    make_run(tmp_path / "sweep" / "0")
    make_run(tmp_path / "sweep" / "1")
    headline = compare_runs([tmp_path / "sweep" / "0", tmp_path / "sweep" / "1"], tmp_path)
    assert "job 1 is better than job 0" in headline


def test_an_adapter_without_an_evaluation_says_what_to_type(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(AxiomError, match=r"stage=evaluate model\.adapter="):
        compare_runs([tmp_path, tmp_path / "other"], tmp_path)


def test_every_refusal_is_named_at_once(tmp_path):
    changes = [{}, {"split": "val"}, {"sampler": SAMPLER | {"n": 8, "temperature": 1.0}}]
    for name, change in zip("abc", changes, strict=True):
        write_evaluation(tmp_path / f"{name}.json", evaluation(LOW, **change))
    with pytest.raises(AxiomError) as refused:
        compare_runs([tmp_path / f"{name}.json" for name in "abc"], tmp_path)
    assert "b against a: these evaluations cannot be compared" in str(refused.value)
    assert "split: 'train' against 'val'" in str(refused.value)
    assert "sampler.temperature: 0.7 against 1.0" in str(refused.value)


def test_what_differs_on_purpose_is_compared_and_said(tmp_path):
    other = {"model": {"name": "Large", "sha256": "1" * 64}}
    write_evaluation(tmp_path / "a.json", evaluation(LOW, sampler=SAMPLER | {"prompt": "few_shot"}))
    write_evaluation(tmp_path / "b.json", evaluation(HIGH, **other))
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    with pytest.raises(AxiomError, match=r"say so: 'stage\.across=\[weights\]'"):
        compare_runs(paths, tmp_path)
    with pytest.raises(AxiomError, match=r"sampler\.prompt") as refused:
        compare_runs(paths, tmp_path, ["weights"])
    assert "weights (model.sha256)" not in str(refused.value)
    assert "b is better than a" in compare_runs(paths, tmp_path, ["weights", "prompt"])
    text = (tmp_path / "comparison.md").read_text()
    assert "they differ in weights (model.sha256): " in text
    assert "sampler.prompt: 'few" in text and "against not recorded" in text
    with pytest.raises(AxiomError, match=r"stage\.across"):
        load_config("stage=compare", "stage.across=[seed]")


def test_bad_input_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    make_run(tmp_path / "one")
    with pytest.raises(AxiomError, match=r"names .*one twice"):
        compare_runs([tmp_path / "one", tmp_path / "empty" / ".." / "one"], tmp_path)
    with pytest.raises(AxiomError, match="two or more"):
        compare_runs([tmp_path], tmp_path)
    with pytest.raises(AxiomError, match="holds no evaluation"):
        compare_runs([tmp_path / "empty", tmp_path / "one"], tmp_path)
    with pytest.raises(AxiomError, match="no such run folder"):
        compare_runs([tmp_path / "none", tmp_path / "empty"], tmp_path)
