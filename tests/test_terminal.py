"""What a reader of the terminal sees: refusals, locks, full disks, and the last lines of a run."""

from __future__ import annotations

import errno
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser

from axiom_rl import cli
from axiom_rl.config import CONF_DIR, load_config, register_schemas, to_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.files import cache_dir, disk_trouble, write_json, write_text
from axiom_rl.core.program import command, override
from axiom_rl.evaluation.power import samples_text
from axiom_rl.models.weights.cache import build_once
from axiom_rl.problems.splits import build_splits
from axiom_rl.report.closing import closing_lines, next_commands
from axiom_rl.run.folder import DONE, open_run
from axiom_rl.run.lock import locked
from axiom_rl.run.resume import nothing_left, point_latest
from axiom_rl.run.tracking import Tracker
from axiom_rl.stages import opening, run_stage, uncounted

THINK = ("problems.prompt=think", "sampler.max_new_tokens=640")
MESSAGES = [
    ("sampler.n=two", ["sampler.n wants a whole number"]),
    ("seed=1.5", ["seed wants a whole number"]),
    ("sampler.temperature=hot", ["sampler.temperature wants a number"]),
    ("problems.types=list_filter", ["a list in brackets", "[list_filter]"]),
    ("problems.sizes=3", ["problems.sizes.NAME=VALUE"]),
    ("experiment=10", ["did you mean experiment=10_grpo_hard"]),
    ("model=null", ["no such option", "qwen2.5-coder-0.5b"]),
    ("problems=null", ["no such option", "basic"]),
    ("sampler.url=http://x", ["is a key of sampler=vllm_server"]),
    ("stage.max_attempts=3", ["is a key of stage=collect"]),
    ("trainer.traces=a", ["is a key of trainer=sft", "(trainer.sft.traces in a pipeline)"]),
    ("stage.output=a", ["is a key of stage=collect or stage=export", "type one of them too"]),
    ("teacher.url=http://x", ["is a key of teacher=api: type teacher=api too"]),
    ("mode=off", ["did you mean tracking.mode (with tracking=wandb)?"]),
    ("tracking.mode=off", ["is a key of tracking=wandb"]),
    ("max_new_tokens=5", ["did you mean sampler.max_new_tokens?"]),
    ("temperature=0", ["sampler.temperature or trainer.args.temperature?"]),
    ("seed=0,1", ["for a sweep over them add -m"]),
    ("seed='", ["cannot be read as key=value", "quotes of its own"]),
    ("model.path=a=b", ["cannot be read as key=value", "quotes of its own"]),
    ("trainer.reward=fraction", ["no trainer.reward any more", "trainer.rewards={fraction: 1.0}"]),
    ("trainer.rewards={a: 1}", ["is a key of trainer=grpo"]),
    ("trainer.rewards.binary=1", ["give all of trainer.rewards at once"]),
    ("+trainer.rewards.mine=1", ["give all of trainer.rewards at once"]),
]


@pytest.mark.parametrize("given", ["~sampler", "name=${nothing.there}"])
def test_what_only_resolving_finds_is_no_fault_of_the_program(given: str) -> None:
    """`launch.py` converts what Hydra composed by itself; `load_config` is not in between."""
    register_schemas()
    GlobalHydra.instance().clear()
    with initialize_config_dir(config_dir=str(CONF_DIR), version_base="1.3"):
        composed = compose("config", overrides=[given])
    with pytest.raises(AxiomError, match=r"sampler|nothing.there"):
        to_config(composed)


@pytest.mark.parametrize(("given", "said"), MESSAGES, ids=lambda value: str(value)[:30])
def test_a_wrong_value_is_told_with_key_and_cure(given: str, said: list[str]) -> None:
    with pytest.raises(AxiomError) as refused:
        load_config(given)
    message = str(refused.value)
    assert "\n" not in message and all(text in message for text in said), message


def test_a_list_without_brackets(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["launch.py"])
    assert cli.main(["stage=compare", "stage.runs=a,b"]) == 2
    assert "'stage.runs=[a,b]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("stage", "typed", "said"),
    [
        ("evaluate", ["trainer=grpo", "+trainer.args.x=1"], ["trainer", "trainer.args.x"]),
        ("evaluate", ["search=vote", "sampler.n=2", "stage.split=val", "seed=1", "name=a"], []),
        ("train", ["trainer=grpo", "problems=hard", "experiment=01_baseline"], []),
        ("train", ["trainer.expert=value", "search=value", "search.head=x"], []),
        ("collect", ["stage.expert=vote", "search=vote", "trainer=grpo"], ["trainer"]),
        ("list", ["problems=hard", "sampler.n=2", "model=x"], ["sampler.n", "model"]),
        ("compare", ["stage.runs=[a,b]", "problems=hard"], ["problems"]),
        ("search", ["search=vote", "model=x"], []),
        ("search", ["trainer=grpo", "tracking=wandb"], ["trainer", "tracking"]),
        ("teach", ["teacher=api", "trainer.iterations=2"], ["trainer.iterations"]),
        ("train", ["teacher.samples=2"], ["teacher.samples"]),
        ("train", ["trainer.k=4"], []),
    ],
)
def test_what_does_not_count_is_said(stage: str, typed: list[str], said: list[str]) -> None:
    assert uncounted(load_config(f"stage={stage}"), typed) == said


@pytest.mark.parametrize(
    ("trainer", "said"),
    [
        (("trainer=pipeline", "trainer.steps=[teach,sft]"), []),
        (("trainer=pipeline", "trainer.steps=[expert_iter,grpo]"), ["teacher", "teacher.samples"]),
        (("trainer=distill",), ["teacher.samples"]),
        (("trainer=sft",), ["teacher", "teacher.samples"]),
    ],
)
def test_the_teacher_counts_with_trainers_that_ask_one(
    trainer: tuple[str, ...], said: list[str]
) -> None:
    assert uncounted(load_config(*trainer), ["teacher=api", "teacher.samples=2"]) == said


@pytest.mark.parametrize(
    ("trainer", "said"),
    [
        (("trainer=grpo",), ["trainer.k"]),
        (("trainer=grpo", "trainer.objective=max_at_k"), []),
        (("trainer=pipeline", "trainer.grpo.objective=max_at_k"), []),
    ],
)
def test_the_k_of_an_objective_that_has_none(trainer: tuple[str, ...], said: list[str]) -> None:
    assert uncounted(load_config(*trainer), ["trainer.k=4"]) == said


REFUSED_EARLY = [
    (["trainer=grpo", "trainer.eval_every=5"], "evaluates on the val split"),
    (["trainer=expert_iter", "trainer.curriculum.focus=1"], "trainer.problems_per_iteration"),
    (["problems=own"], "problems.imports="),
    (["trainer=grpo", "trainer.rewards={binari: 1.0}"], "did you mean binary"),
    (["trainer=grpo", "trainer.imports=[no_such_module]"], "trainer.imports: cannot import"),
    (["problems.imports=[no_such_module]"], "problems.imports: cannot import"),
    (["sampler=vllm_server"], "sampler.url="),
    (["model.quantization=4bit", "model.device=cpu"], "needs an NVIDIA GPU"),
    (["problems=jsonl"], "problems.path"),
    (["sandbox=bubblewrap"], "needs the program bwrap"),
    (["tracking=wandb"], "W&B is disabled in the environment"),
    (["trainer=sft"], "trainer.solutions"),
]


@pytest.mark.parametrize(("given", "said"), REFUSED_EARLY, ids=lambda value: str(value)[-30:])
def test_late_refusals_come_first(
    given: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loaded(_config: object) -> None:
        raise AssertionError("the model was asked for before the refusal")

    for stage in ("training", "sampling"):
        monkeypatch.setattr(f"axiom_rl.stages.{stage}.resolve_model", loaded)
    monkeypatch.setattr("axiom_rl.sandbox.kinds.shutil.which", lambda _name: None)
    there = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: object() if name == "wandb" else there(name)
    )
    monkeypatch.setenv("WANDB_MODE", "disabled")
    for stage in ("train",) if "trainer" in given[0] else ("train", "evaluate", "collect"):
        with pytest.raises(AxiomError, match=said):
            run_stage(load_config(f"stage={stage}", *given), tmp_path / "run")
    assert [*tmp_path.iterdir()] == [], "a refusal wrote something"


def test_a_second_process_is_told_whose_the_folder_is(tmp_path: Path) -> None:
    hold = (
        "import sys; from pathlib import Path; from axiom_rl.run.lock import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    first = subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert first.stdin and first.stdout and first.stdout.readline() == b"held\n"
    with pytest.raises(AxiomError, match=rf"pid {first.pid}\) works in"), locked(tmp_path):
        raise AssertionError("two processes in one folder")
    first.kill()  # the kernel lets go of the lock, however the process ends
    first.wait()
    first.stdin.close()
    first.stdout.close()
    with locked(tmp_path):
        assert (tmp_path / "checkpoints" / "run.pid").read_text() == f"{os.getpid()}\n"


def finished_run(folder: Path, *, steps: int = 0) -> None:
    trainer = f"trainer:\n  iterations: 2\n  args: {{max_steps: {steps}}}\n"
    write_text(folder / "config.yaml", f"stage: {{kind: train}}\n{trainer}")
    run = open_run(folder, Tracker(folder))
    run.finish(DONE)
    write_text(folder / "report.html", "")


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        (["trainer.iterations=2"], False),
        (["trainer.iterations=3"], True),
        (["trainer=grpo", "trainer.args.max_steps=20"], False),
        (["trainer=grpo", "trainer.args.max_steps=40"], True),
        (["stage=evaluate"], False),
    ],
)
def test_a_finished_run_has_something_left_if_more_is_asked(
    asked: list[str], left: bool, tmp_path: Path
) -> None:
    finished_run(tmp_path, steps=20)
    assert nothing_left(tmp_path, load_config(*asked)) is not left
    run = open_run(tmp_path, Tracker(tmp_path))
    run.begin = lambda: None
    with run.timed("train", 3):
        assert not nothing_left(tmp_path, load_config(*asked)), "work was begun"


def test_a_finished_run_whose_page_could_not_be_written_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished_run(tmp_path)
    assert nothing_left(tmp_path, load_config("stage=evaluate"))

    def full(_folder: Path) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("axiom_rl.stages.opening.write_report", full)
    with (
        pytest.raises(OSError, match="No space"),
        opening._reported(load_config("stage=evaluate"), tmp_path),
    ):
        pass
    assert not nothing_left(tmp_path, load_config("stage=evaluate"))


def test_latest_points_to_the_newest_run_by_a_relative_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("outputs/train/a", "outputs/train/b", "elsewhere/c"):
        Path(name).mkdir(parents=True)
        point_latest(Path(name))
    assert Path("outputs/latest").readlink() == Path("train/b")
    point_latest(Path("outputs/train/a"))  # a resumed run
    assert Path("outputs/latest").resolve() == tmp_path / "outputs/train/a"


def test_a_cache_that_cannot_be_written_names_its_own_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AXIOM_RL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").write_text("a file")  # nobody can make a folder in it, not even root
    with pytest.raises(AxiomError, match="set AXIOM_RL_CACHE to a folder"):
        build_once(cache_dir() / "models" / "m", lambda _folder: None)
    refused = PermissionError(errno.EACCES, "Permission denied", str(cache_dir() / "models" / "m"))
    assert "set AXIOM_RL_CACHE" in disk_trouble(refused)
    assert "hydra.run.dir" not in disk_trouble(refused)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "x.json"), "disk is full (x.json)"),
        (OSError(errno.EFBIG, "File too large"), "disk is full"),
        (OSError(errno.EROFS, "Read-only file system", "o"), "cannot be written (o)"),
        (PermissionError(errno.EACCES, "Permission denied", "o"), "cannot be written (o)"),
        (RuntimeError("PytorchStreamWriter failed writing file data/3"), "disk is full"),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 9 vs 8"), "full"),
        (RuntimeError("I/O error: Disk quota exceeded (os error 122)"), "disk is full"),
        (RuntimeError("I/O error: File too large (os error 27)"), "disk is full"),
        (ValueError("no disk in this"), ""),
        (FileNotFoundError(errno.ENOENT, "No such file", "o"), ""),
    ],
)
def test_trouble_with_the_disk_is_known_through_other_errors(error: Exception, said: str) -> None:
    outer = AxiomError("cannot write out/x: of an open file")
    outer.__cause__ = error
    assert said in disk_trouble(error) and bool(disk_trouble(error)) is bool(said)
    assert ("(out/x)" in disk_trouble(outer)) is bool(said)


def test_a_full_disk_is_one_line_with_the_way_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_json(tmp_path / "config.yaml", {})
    cli._say(OSError(errno.ENOSPC, "No space left on device", "adapter"), tmp_path)
    (record,) = caplog.records
    message = record.getMessage()
    assert "\n" not in message and not record.exc_info
    assert "the disk is full (adapter): free some space" in message
    assert f"go on with: {command(f'resume={tmp_path}')}" in message


NAMES = ["a=b", "a,b", "(a)", "[a]", "a#b", "it's", "~a", "a b", "größe 模型", "a{b}", "x\\y", "q'"]


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("model.adapter=outputs/a=b,c/adapter", "outputs/a=b,c/adapter"),
        ("trainer.solutions=it's.jsonl", "it's.jsonl"),
        ("trainer.sft.traces=it's.jsonl", "it's.jsonl"),
        ("stage.choose_on=outputs/a=b,c", "outputs/a=b,c"),
        ("stage.student=outputs/a=b,c", "outputs/a=b,c"),
        ("teacher.traces=outputs/a=b,c/traces.jsonl", "outputs/a=b,c/traces.jsonl"),
        ("trainer.pool=outputs/a=b,c", "outputs/a=b,c"),
        ("problems.path='two words.jsonl'", "two words.jsonl"),
        ("name=a(b", "a(b"),
    ],
)
def test_paths_are_taken_as_they_are_typed(given: str, value: str) -> None:
    (read,) = cli._for_hydra([given])
    assert OverridesParser.create().parse_override(read).value() == value


def test_a_path_that_is_there_is_meant_and_a_sweep_stays_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli._for_hydra(["model.adapter=a,b"]) == ["model.adapter=a,b"]
    Path("a,b").mkdir()
    assert cli._for_hydra(["model.adapter=a,b"]) == ["model.adapter='a,b'"]
    with pytest.raises(AxiomError, match="nothing follows the ="):
        cli._for_hydra(["hydra.run.dir="])


@pytest.mark.parametrize("name", NAMES)
def test_any_folder_name_passes_through_hydras_grammar(name: str) -> None:
    parsed = OverridesParser.create().parse_override(override("hydra.run.dir", f"outputs/{name}"))
    assert parsed.value() == f"outputs/{name}"
    (given,) = cli._for_hydra([f"hydra.run.dir=outputs/{name}"])
    assert OverridesParser.create().parse_override(given).value() == f"outputs/{name}"
    assert cli._folder(name) == Path(name)


def test_folders_that_hydra_shall_read_itself_stay() -> None:
    for given in ("hydra.run.dir=outputs/${name}", "hydra.run.dir='a b'", "seed=1,2", "-m"):
        assert cli._for_hydra([given]) == [given]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["trainer=expert_iter"], ("trainer.iterations=3", "stage=evaluate")),
        (["trainer=grpo"], ("trainer.args.max_steps=40", "stage=evaluate")),
        (["trainer=sft"], ("stage=export", "stage=evaluate")),
        (["stage=evaluate"], ("trainer=expert_iter", "problems=easy")),
        (
            ["stage=evaluate", "stage.split=train", "problems=hard", "problems.types=[n_queens]"],
            ("'problems.types=[n_queens]'", "problems=easy"),
        ),
        (["stage=evaluate", "stage.split=train"], ("stage=teach stage.student=", "problems=easy")),
        (
            ["trainer=sft", "trainer.traces=t.jsonl", *THINK],
            (
                "adapter problems=basic problems.prompt=think sampler.max_new_tokens=640 "
                "trainer.args.max_completion_length=640",
                "problems=easy problems.prompt=think sampler.max_new_tokens=640",
            ),
        ),
        (
            ["trainer=sft", "trainer.traces=t.jsonl", *THINK, "problems.levels=[2]"],
            ("trainer=grpo", "stage=evaluate"),
        ),
        (
            ["trainer=grpo", "problems.prompt=few_shot"],
            ("trainer.args.max_steps=40", "problems.prompt=few_shot"),
        ),
        (["stage=collect"], ("trainer=sft", "stage=evaluate")),
        (["stage=export"], ("model.path=", "stage=collect")),
        (
            ["stage=evaluate", "problems=own", "problems.imports=[mine]"],
            ("'problems.imports=[mine]'", "easy"),
        ),
        (["stage=collect", "problems=jsonl", "problems.path=a b"], ("problems.path=", "'a b'")),
        (
            ["stage=teach", "problems.types=[two_sum,fizzbuzz]", "problems.sizes.val=2"],
            ("'problems.types=[two_sum,fizzbuzz]' problems.sizes.val=2", "problems.sizes.val=2"),
        ),
        (
            ["stage=collect", "problems.levels=[2]", "+problems.weights.two_sum=2"],
            ("'problems.levels=[2]' +problems.weights.two_sum=2.0", "problems.levels=[2]"),
        ),
    ],
)
def test_a_stage_ends_with_what_came_out_and_what_is_next(
    overrides: list[str], expected: tuple[str, str], tmp_path: Path
) -> None:
    config = load_config(*overrides)
    lines = "\n".join(closing_lines(config, tmp_path, "62.5 % of samples pass")).splitlines()
    assert len(lines) <= 8
    assert lines[0] == "62.5 % of samples pass" and str(tmp_path / "report.html") in lines[1]
    commands = next_commands(config, tmp_path)
    assert [line.strip() for line in lines[-2:]] == list(commands)
    assert all(text in line for text, line in zip(expected, commands, strict=True))


def test_samples_are_counted_split_by_split() -> None:
    config = load_config("problems=basic", "problems.sizes.test=2")
    text = samples_text(build_splits(config.problems), 8, trains=True)  # type: ignore[arg-type]
    assert "240 samples: 10 train problems x 8, 20 test problems x 8" in text


@pytest.mark.parametrize(
    ("sizes", "split"),
    [((1, 1, 1), "test"), ((1, 1, 0), "val"), ((1, 0, 0), "train")],
)
def test_an_evaluation_is_of_one_split(
    sizes: tuple[int, int, int], split: str, tmp_path: Path
) -> None:
    from axiom_rl.context.problems import make_problems

    given = [
        f"problems.sizes.{n}={s}" for n, s in zip(("train", "val", "test"), sizes, strict=True)
    ]
    splits = make_problems(load_config("stage=evaluate", *given), tmp_path)
    assert [n for n in ("train", "val", "test") if getattr(splits, n)] == [split]
    assert [*tmp_path.iterdir()] == []


def test_one_limit_of_tokens() -> None:
    config = load_config("trainer=grpo", "sampler.max_new_tokens=99")
    assert config.trainer.args["max_completion_length"] == 99


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("stage=collect",), "collecting takes at most 240 samples: 10 problems x 24; fewer where"),
        (("stage=collect", "stage.max_attempts=4"), "at most 40 samples: 10 problems x 4;"),
        (("stage=solve", "sampler.n=3"), "solving takes 30 samples: 10 problems x 3; how long"),
        (("stage=teach",), ""),
    ],
)
def test_stages_that_evaluate_nothing_say_first_how_much_they_draw(
    given: tuple[str, ...], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from axiom_rl.context.problems import make_problems
    from axiom_rl.stages.opening import _asked_text

    monkeypatch.chdir(tmp_path)  # no run whose speed is known
    config = load_config(*given)
    text = _asked_text(config, make_problems(config, tmp_path))
    assert expected in text and bool(expected) == bool(text)
