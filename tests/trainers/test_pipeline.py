"""A pipeline with a scripted student and teacher: what it leaves, and that a stop costs nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scripted_run import REVERSE, Stage, Stopped, fenced

from axiom_rl.config import load_config
from axiom_rl.config.parts import iterations_of, trainings
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import read_json, read_jsonl, write_jsonl
from axiom_rl.gold.teacher.traces import Trace, write_traces
from axiom_rl.problems.splits import build_splits
from axiom_rl.report.page import write_report
from axiom_rl.report.run_folder import read_run
from axiom_rl.run.tracking import read_metrics
from axiom_rl.sampling import SampleRequest


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["trainer.steps=[]"], "nothing is trained"),
        (["trainer.steps=[teach]"], r"nothing is trained; .*stage=teach"),
        (["trainer.steps=[sft,grpo]"], r"sft has nothing to learn from: put teach before it"),
        (["trainer.steps=[sft,teach]", "trainer.sft.solutions=a"], "nobody learns what teach"),
        (["trainer.steps=[teach,grpo]"], "nobody learns what teach writes"),
        (["trainer.steps=[teach,sft,sft]"], r"sft stands there twice; .*model\.adapter="),
        (["trainer.steps=[teach,grp]"], r"did you mean grpo\? there is no step grp"),
        (["trainer.steps=[distill]"], r"no step distill; there are teach, sft, expert_iter, grpo"),
        (["trainer.sft.solutions=a.jsonl"], r"^trainer\.sft\.solutions: sft learns the traces"),
        (
            ["trainer.steps=[sft]", "trainer.sft.solutions=a", "trainer.sft.traces=b"],
            r"give one of trainer\.sft\.traces",
        ),
        (["trainer.steps=[grpo,expert_iter]"], r"^trainer\.expert_iter\.start_from=base would"),
        (["+trainer.args.max_steps=3"], r"^trainer\.args\.max_steps: .*trainer\.grpo\.args\.max_s"),
        (["+trainer.grpo.args.bf16=true"], r"^trainer\.grpo\.args\.bf16 is set by the run"),
        (["trainer.grpo.args.loss_type=x"], r"^trainer\.grpo\.args\.loss_type=x: choose"),
        (["+trainer.sft.args.packing=true"], r"^trainer\.sft\.args\.packing cannot be given"),
        (["trainer.grpo.curriculum.window=0"], r"^trainer\.grpo\.curriculum\.window=0: must be 1"),
        (["trainer.expert_iter.iterations=0", "trainer.steps=[expert_iter]"], r"expert_iter\.it"),
        (["trainer.grpo.args.learning_rat=1"], "did you mean learning_rate"),
        (["trainer.grpo.args.weight_decay=1"], r"type \+trainer\.grpo\.args\.weight_decay=VALUE"),
    ],
)
def test_what_makes_no_sense_is_refused_while_the_command_is_read(
    given: list[str], said: str
) -> None:
    with pytest.raises(AxiomError, match=said):
        load_config("trainer=pipeline", *given)


@pytest.mark.parametrize(
    "steps", ["grpo", "teach,sft", "grpo,teach,sft", "expert_iter,grpo", "teach,sft,grpo"]
)
def test_what_makes_sense_has_a_config_for_each_training(steps: str) -> None:
    config = load_config("trainer=pipeline", f"trainer.steps=[{steps}]")
    parts = dict(trainings(config))
    assert [*parts] == [name for name in steps.split(",") if name != "teach"]
    assert all(own.trainer.kind == name for name, own in parts.items())
    assert [*trainings(load_config())] == [("", load_config())]


def test_every_step_has_numbers_of_its_own() -> None:
    assert iterations_of(["teach", "expert_iter", "grpo"], 3) == {
        "teach": range(1, 2),
        "expert_iter": range(2, 5),
        "grpo": range(5, 6),
    }


TYPES = ("reverse_string", "is_palindrome", "fizzbuzz")
PALINDROME = "def is_palindrome(s):\n    return s == s[::-1]"


def thought(code: str) -> str:
    return f"<think>\nCompare it with itself, backwards.\n</think>\n\n{fenced(code)}"


def answer(request: SampleRequest, sample: int) -> str:
    """The palindrome is taught; GRPO finds both kinds of reversing, fizzbuzz stays unknown."""
    phase = request.stream.partition("/")[2]
    match request.problem_id.partition("/")[0]:
        case "reverse_string":
            return REVERSE if sample % 2 else "I do not know."
        case "is_palindrome":
            learnt = phase.startswith("after") and sample < 3
            return thought(PALINDROME) if learnt else "No idea."
        case _:
            return "No idea."


@pytest.fixture
def pipelined(stage: Stage, tiny_model_folder: Path, tmp_path: Path) -> Stage:
    """The scripted stage, with a teacher that knows the palindrome and is wrong about fizzbuzz."""
    stage.script = answer
    given = tmp_path / "theirs.jsonl"
    problems = [
        problem
        for problem in build_splits(
            load_config(f"problems.types=[{','.join(TYPES)}]", *SIZES).problems  # type: ignore[arg-type]
        ).train
        if problem.type != "reverse_string"
    ]
    wrong = "def fizzbuzz(n):\n    return []"
    rows = [
        {
            "problem_id": problem.id,
            "text": thought(PALINDROME if problem.type == "is_palindrome" else wrong),
        }
        for problem in problems
    ]
    write_jsonl(given, rows)
    stage.overrides = (
        *("trainer=pipeline", f"problems.types=[{','.join(TYPES)}]", "problems.prompt=think"),
        *(f"model.path={tiny_model_folder}", "model.dtype=float32", "model.device=cpu"),
        *("sandbox=debug", "sampler.n=4", "model.lora.r=4", "sampler=transformers", *SIZES),
        *("teacher=file", f"teacher.traces={given}", "teacher.check=never"),
        *("trainer.sft.args.num_train_epochs=2", "trainer.sft.args.learning_rate=1e-2"),
        *("trainer.grpo.args.max_steps=2", "trainer.grpo.args.save_steps=1"),
        *("trainer.grpo.args.num_generations=2", "trainer.grpo.args.max_completion_length=8"),
        *("trainer.grpo.args.per_device_train_batch_size=2", "trainer.grpo.max_extra_groups=0"),
        *("trainer.grpo.args.gradient_accumulation_steps=1", "trainer.grpo.forgetting=[easy]"),
        *("trainer.grpo.curriculum.kind=adaptive", "trainer.grpo.signal_low=0"),
    )
    return stage


SIZES = ("problems.sizes.train=1", "problems.sizes.val=1", "problems.sizes.test=1")
VOLATILE = {
    *("time", "seconds", "peak_memory_gb", "tokens_per_second", "generation_seconds"),
    *("verify_seconds", "verify_share", "verify_cpu_seconds", "verification_seconds"),
    *("training_seconds", "rest_seconds"),
}


def outcome(folder: Path) -> dict[str, Any]:
    """Everything that a run decides, without the time of day."""
    evaluations = {
        path.stem: read_json(path) for path in sorted((folder / "evaluation").glob("*.json"))
    }
    for evaluation in evaluations.values():
        evaluation["model"].pop("adapter")
    return {
        "metrics": [
            {k: v for k, v in row.items() if k not in VOLATILE} for row in read_metrics(folder)
        ],
        "completions": {
            path.stem: sorted(
                read_jsonl(path),
                key=lambda row: (row.get("step", 0), row["problem_id"], row["sample"]),
            )
            for path in (folder / "completions").glob("*.jsonl")
        },
        "traces": [
            {k: v for k, v in row.items() if k not in ("timestamp", "seconds")}
            for row in read_jsonl(folder / "traces.jsonl")
        ],
        "evaluations": evaluations,
        "adapter": (folder / "adapter" / "adapter_model.safetensors").read_bytes(),
        "finished": read_json(folder / "checkpoints" / "state.json")["finished"],
        "files": sorted(
            str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
        ),
    }


def test_traces_of_other_problems_are_refused_before_anything_is_drawn(
    pipelined: Stage, tmp_path: Path
) -> None:
    write_jsonl(tmp_path / "other.jsonl", [{"problem_id": "other/1", "text": thought(PALINDROME)}])
    with pytest.raises(AxiomError, match="the traces are of other/1 and others"):
        pipelined.run(tmp_path / "run", f"teacher.traces={tmp_path / 'other.jsonl'}")
    trace = Trace(
        **{"problem_id": "other/1", "problem_title": "", "solution_code": PALINDROME},
        **{"passed_tests": 1, "total_tests": 1, "model_name": "", "timestamp": ""},
        **{"reasoning": "Think.", "teacher": "file", "sample": 0},
        **{"prompt_tokens": 0, "tokens": 0, "seconds": 0.0},
    )
    write_traces(tmp_path / "traces.jsonl", [trace])
    given = ("trainer.steps=[sft,grpo]", f"trainer.sft.traces={tmp_path / 'traces.jsonl'}")
    with pytest.raises(AxiomError, match="the solutions are of other/1, which is not among"):
        pipelined.run(tmp_path / "run", *given)
    assert not pipelined.drawn and not pipelined.adapters


CORNERS = (
    "draw 0/before is_palindrome 2",
    "before evaluate/before is recorded",
    "after evaluate/forgetting_easy_before",
    "before teach/1 is recorded",
    "after teach/1",
    "train 2 step 1",
    "before train/2 is recorded",
    "after train/2",
    "draw 0/after_sft fizzbuzz 0",
    "after evaluate/after_sft",
    "train 3 step 1",
    "train 3 step 2",
    "before train/3 is recorded",
    "draw 0/after_grpo is_palindrome 1",
    "after evaluate/after_grpo",
    "before publish/3 is recorded",
    "after publish/3",
)


@pytest.mark.parametrize(
    "stops",
    [
        pytest.param((), id="no_corner"),
        pytest.param(CORNERS, id="every_corner", marks=pytest.mark.slow),
    ],
)
@pytest.mark.usefixtures("recwarn")
def test_a_pipeline_leaves_one_run_and_stops_nowhere_twice(
    pipelined: Stage, tmp_path: Path, stops: tuple[str, ...]
) -> None:
    whole = pipelined.run(tmp_path / "whole")
    expected = outcome(whole)
    _left_every_file(whole)
    _handed_one_adapter_on(whole, pipelined)
    drawn = sorted(pipelined.drawn)
    assert len(drawn) == len(set(drawn)), "nothing is drawn twice"
    pipelined.drawn.clear()

    pipelined.stops = list(stops)
    folder = tmp_path / "stopped" if stops else whole
    for _ in stops:
        with pytest.raises(Stopped):
            pipelined.run(folder)
    assert not pipelined.stops
    assert outcome(pipelined.run(folder)) == expected
    again = outcome(pipelined.run(folder))
    assert again == expected, "a finished run is left alone"
    _is_reported(whole)


def _left_every_file(folder: Path) -> None:
    names = {path.stem for path in (folder / "evaluation").glob("*.json")}
    assert names == {
        *("before", "after_teach", "after_sft", "after_grpo", "after"),
        *("forgetting_easy_before", "forgetting_easy_after"),
    }
    texts = {n: (folder / "evaluation" / f"{n}.json").read_text() for n in names}
    assert texts["after_teach"] == texts["before"], "teaching trains nothing"
    assert texts["after"] == texts["after_grpo"]
    traces = list(read_jsonl(folder / "traces.jsonl"))
    assert [row["problem_id"].partition("/")[0] for row in traces] == ["is_palindrome"]
    state = read_json(folder / "checkpoints" / "state.json")
    assert {"teach/1", "train/2", "train/3", "publish/3"} <= set(state["finished"])
    rows = read_metrics(folder)
    trained = {row["iteration"]: row for row in rows if row.get("name") == "train"}
    assert [*trained] == [2, 3] and trained[3]["steps"] == 2
    assert {row["iteration"] for row in rows if row["phase"] == "teach"} == {1}
    levels = [row for row in rows if row["phase"] == "train" and row["iteration"] == 3]
    assert all("level_reverse_string" in row for row in levels), "the curriculum runs through"
    assert all(row["iteration"] == 3 for row in read_jsonl(folder / "completions" / "grpo.jsonl"))


def _handed_one_adapter_on(folder: Path, stage: Stage) -> None:
    """The samplers opened, in order: of the base, of what sft left, of what GRPO left."""
    own = [folder / "checkpoints" / f"iter_{number}" / "adapter" for number in (2, 3)]
    assert stage.adapters == [None, *map(str, own)]
    published = folder / "adapter" / "adapter_model.safetensors"
    assert published.read_bytes() == (own[1] / "adapter_model.safetensors").read_bytes()


def _is_reported(folder: Path) -> None:
    run = read_run(folder)
    assert run.finished and run.after_phase == "after_grpo"
    write_report(folder)
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "## Step by step" in text
    for row in ("| student, before |", "| teach |", "| sft |", "| grpo |"):
        assert row in text
    assert "1 of 3 problems before, 2 of 3 when GRPO began" in text


@pytest.mark.slow
@pytest.mark.usefixtures("recwarn")
def test_a_pipeline_that_was_stopped_early_says_how_far_it_is(
    pipelined: Stage, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pipelined.stops = ["after evaluate/after_sft"]
    with pytest.raises(Stopped):
        pipelined.run(tmp_path / "run", "trainer.measure_teacher=true")
    assert "only a teacher of teacher=local can be measured" in caplog.text
    run = read_run(tmp_path / "run")
    assert not run.finished and run.after_phase == "after_sft"
    assert run.after is not None and run.after.solved == 2


@pytest.mark.slow
@pytest.mark.usefixtures("recwarn")
def test_expert_iteration_and_grpo_one_after_the_other(pipelined: Stage, tmp_path: Path) -> None:
    folder = pipelined.run(
        tmp_path / "run",
        *("trainer.steps=[expert_iter,grpo]", "trainer.expert_iter.max_attempts=4"),
        *("trainer.expert_iter.iterations=2", "trainer.grpo.forgetting=[]"),
        *("trainer.expert_iter.args.num_train_epochs=1", "problems.prompt=direct"),
    )
    finished = read_json(folder / "checkpoints" / "state.json")["finished"]
    assert {"collect/1", "collect/2", "train/1", "train/2", "train/3", "publish/3"} <= set(finished)
    after = {path.stem for path in (folder / "evaluation").glob("after*.json")}
    assert after == {"after_expert_iter", "after_grpo", "after"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["problems.prompt=direct"], r"type problems\.prompt=think"),
        (["trainer.grpo.rewards={none: 1.0}"], "unknown reward 'none'; known: binary, fraction"),
        (["trainer.grpo.imports=[no_such_module]"], r"trainer\.grpo\.imports"),
        (["trainer.sft.args.max_length=0"], r"trainer\.sft\.args\.max_length=0: must be"),
        (["trainer.grpo.args.save_steps=0"], r"trainer\.grpo\.args\.save_steps=0: must be"),
        (["trainer.grpo.signal_low=0.9"], r"trainer\.grpo\.signal_low=0.9 must not be above"),
        (["teacher.traces=no_such.jsonl"], "no_such.jsonl"),
        (["trainer.steps=[sft]", "trainer.sft.traces=none.jsonl"], "none.jsonl"),
        (["model.lora.r=0"], "r"),
    ],
)
def test_every_steps_door_is_looked_through_before_anything_is_written(
    pipelined: Stage, tmp_path: Path, given: list[str], said: str
) -> None:
    with pytest.raises(AxiomError, match=said):
        pipelined.run(tmp_path / "run", *given)
    assert not (tmp_path / "run").exists() and not pipelined.drawn


def test_a_student_that_knows_everything_needs_no_teacher(pipelined: Stage, tmp_path: Path) -> None:
    known = {"problem_id": "reverse_string/d1/train/s0/0", "text": thought(PALINDROME)}
    write_jsonl(tmp_path / "known.jsonl", [known])
    given = ("problems.types=[reverse_string]", f"teacher.traces={tmp_path / 'known.jsonl'}")
    with pytest.raises(AxiomError, match=r"nothing to teach: leave teach out of trainer\.steps"):
        pipelined.run(tmp_path / "run", *given)
