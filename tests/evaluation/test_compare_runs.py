from __future__ import annotations

import pytest
from fake_run import evaluation, make_run

from axiom_rl.errors import AxiomError
from axiom_rl.evaluation.compare_runs import compare_runs
from axiom_rl.evaluation.evaluate import write_evaluation

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


def test_types_and_levels_are_shown_where_they_group_problems(tmp_path, sampled_evaluations):
    before, after = sampled_evaluations
    write_evaluation(tmp_path / "old.json", before)
    write_evaluation(tmp_path / "new.json", after)
    compare_runs([tmp_path / "old.json", tmp_path / "new.json"], tmp_path)
    text = (tmp_path / "comparison.md").read_text()
    assert "| lis | 20 |" in text
    assert "| level 2 | 21 |" in text


def test_bad_input_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(AxiomError, match="two or more"):
        compare_runs([tmp_path], tmp_path)
    with pytest.raises(AxiomError, match="holds no evaluation"):
        compare_runs([tmp_path / "empty", tmp_path / "empty"], tmp_path)
    with pytest.raises(AxiomError, match="no such run folder"):
        compare_runs([tmp_path / "none", tmp_path / "empty"], tmp_path)
