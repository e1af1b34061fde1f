"""The command line: what goes wrong is said in one line, quickly, with exit status 2."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from axiom_rl.cli import main
from axiom_rl.config import load_config, resumed_config
from axiom_rl.core.errors import AxiomError
from axiom_rl.problems.splits import import_modules
from axiom_rl.run.fresh import fresh_folder
from axiom_rl.stages import run_stage

ROOT = Path(__file__).resolve().parent.parent
CPU_S = 3.0
"""Processor seconds until an error before torch; on an idle machine, about as long to wait for."""


@dataclass(frozen=True)
class Done:
    status: int
    output: str
    cpu_s: float


def launch(*arguments: str, folder: Path, run_dir: bool = True) -> Done:
    """Run launch.py from another folder, as a user may."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    target = [f"hydra.run.dir={folder}/run"] if run_dir else []
    done = subprocess.run(
        [sys.executable, str(ROOT / "launch.py"), *arguments, *target],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=300,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime - before.ru_utime
    return Done(done.returncode, done.stdout + done.stderr, spent)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["problms=hard"], ["unknown key problms", "problems"]),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                (["problems.types=[two_summ]"], ["two_summ", "did you mean two_sum?"]),
                (["trainer=sft"], ["trainer=sft needs trainer.solutions"]),
                (["sampler.n=many"], ["sampler.n", "many"]),
                (
                    ["stage=evaluate", "stage.split=test"],
                    ["the test split is empty", "problems.sizes.test"],
                ),
                (["trainer=sft", "trainer.solutions=no.jsonl"], ["no such file: no.jsonl"]),
                (["stage=compare"], ["stage.runs"]),
            )
        ),
    ],
    ids=lambda value: value[-1][:30],
)
def test_errors_before_torch(arguments: list[str], said: list[str], tmp_path: Path) -> None:
    done = launch(*arguments, folder=tmp_path)
    assert done.status == 2
    for text in said:
        assert text in done.output
    assert "Traceback" not in done.output
    assert done.cpu_s < CPU_S
    assert [*tmp_path.iterdir()] == [], "a refusal leaves nothing behind"


def test_resume_of_a_folder_that_is_none(tmp_path: Path) -> None:
    done = launch("resume=nowhere", folder=tmp_path, run_dir=False)
    assert done.status == 2
    assert "resume=nowhere: there is no such folder; give a run folder" in done.output
    assert [*tmp_path.iterdir()] == [], "no folder is made for a typo"


def test_resume_of_what_is_no_run_says_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "outputs" / "train" / "day").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    said = {"file": "that is a file", "outputs": "no config.yaml there; give a run folder"}
    for place, text in said.items():
        with pytest.raises(AxiomError, match=text):
            resumed_config(tmp_path / place, [])
    (tmp_path / "outputs" / "train" / "day" / "config.yaml").write_text("seed: 0\n")
    for place in ("outputs", "outputs/train"):
        with pytest.raises(AxiomError, match=r"its newest run is resume=.*/outputs/train/day$"):
            resumed_config(tmp_path / place, [])


@pytest.mark.parametrize("key", ["resume", "name", "model.path", "problems.path", "hydra.run.dir"])
def test_an_empty_path_begins_no_run(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"{key}="]) == 2, "of a shell variable that is empty, say"
    assert f"{key}=: nothing follows the =" in capsys.readouterr().err


def test_ctrl_c_before_the_run_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_given: list[str]) -> list[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr("axiom_rl.cli._for_hydra", interrupted)
    assert main(["stage=list"]) == 130
    said = capsys.readouterr()
    assert said.out == "" and len(said.err.splitlines()) == 1 and "before the run began" in said.err


def test_a_folder_with_a_run_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("seed: 0\n")
    done = launch("seed=1", folder=tmp_path)
    assert done.status == 2
    assert "holds a run already: go on with it by resume=" in done.output
    assert (tmp_path / "run" / "config.yaml").read_text() == "seed: 0\n"


def test_help_names_the_groups_and_explains_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    for group in ("model", "problems", "sampler", "sandbox", "trainer", "stage", "tracking"):
        assert f"\n  {group} " in said
    assert "qwen2.5-coder-0.5b" in said and "base_" not in said
    assert main(["--help", "trainer=grpo"]) == 0
    keys = capsys.readouterr().out
    assert "trainer.rewards={binary: 1.0}" in keys and "axiom_rl.rewards.register" in keys
    assert main(["--help", "trainer=gpro"]) == 2
    assert "did you mean grpo" in capsys.readouterr().err


def test_list_prints_the_problems(tmp_path: Path) -> None:
    listed = launch("stage=list", folder=tmp_path)
    assert [*tmp_path.iterdir()] == [], "a list leaves nothing behind"
    assert listed.status == 0 and listed.output.splitlines()[0].split()[:2] == ["type", "train"]
    assert "two_sum" in listed.output and "remove_duplicates" in listed.output
    assert listed.cpu_s < CPU_S


def test_runs_of_the_same_second_have_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folders = []
    for _process in range(3):
        monkeypatch.setattr("axiom_rl.run.fresh._taken", {})
        folders.append(fresh_folder("outputs/train/now"))
        assert fresh_folder("outputs/train/now") == folders[-1], "asked again by the same process"
    assert folders == [f"outputs/train/now{end}" for end in ("", "_2", "_3")]
    assert all(Path(folder).is_dir() for folder in folders)
    (tmp_path / "file").write_text("")
    assert fresh_folder("file/now") == "file/now", "Hydra says that no folder can be made there"


def test_a_run_begins_in_a_fresh_folder_and_a_refusal_removes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("axiom_rl.run.fresh._taken", {})
    monkeypatch.setattr(sys, "argv", ["launch.py"])
    began: list[Path] = []
    monkeypatch.setattr("axiom_rl.stages.run_stage", lambda _config, folder: began.append(folder))
    assert main(["stage=evaluate", "name=a b (c) ='d"]) == 0
    (folder,) = began
    assert folder.parent == tmp_path / "outputs" / "a b (c) ='d"
    assert [*tmp_path.iterdir()] == [], "nothing was written in it"


@pytest.mark.parametrize("stage", [pytest.param("list", marks=pytest.mark.slow), "watch"])
def test_a_stage_that_shows_writes_nothing_here(stage: str, tmp_path: Path) -> None:
    """outputs/ is a file here, in which nobody can write, not even root."""
    (tmp_path / "outputs").write_text("")
    taken = socket.create_server(("127.0.0.1", 0))
    port = [f"stage.port={taken.getsockname()[1]}"] if stage == "watch" else []
    done = launch(f"stage={stage}", *port, folder=tmp_path, run_dir=False)
    taken.close()
    assert done.status == (2 if port else 0), done.output
    assert ("stage.port" if port else "two_sum") in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["outputs"]


def test_list_shows_one_problem(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    asked = "stage.show=fizzbuzz/d1/train/s0/0"
    run_stage(load_config("stage=list", asked), tmp_path)
    assert "'FizzBuzz'" in capsys.readouterr().out
    with pytest.raises(AxiomError, match="fizzbuzz"):
        run_stage(load_config("stage=list", asked.replace("zz", "z", 1)), tmp_path)
    run_stage(load_config("stage=list", "stage.show=fizzbuzz"), tmp_path)
    assert "fizzbuzz/d1/train/s0/0" in capsys.readouterr().out, (
        "a type stands for its first problem"
    )


OWN_TYPE = """
from axiom_rl.problems import ProblemType, register
from axiom_rl.problems.base import fixed_task, levels
register(ProblemType(name="twice_here", title="2n", difficulty="", levels=levels(n=[1] * 10),
    draw_task=fixed_task("Return twice n.", "twice_here", "(n)"), oracle=lambda n: 2 * n,
    examples=(([2],),), edge_cases=((0,),), inputs=(lambda rng, task: (rng.randint(-99, 99),),)))
"""


def test_an_own_module_is_found_in_the_working_folder(tmp_path: Path) -> None:
    (tmp_path / "here_types.py").write_bytes(OWN_TYPE.replace("\n", "\r\n").encode())
    (tmp_path / "json.py").write_text("raise RuntimeError('the working folder comes last')")
    done = launch("stage=list", "problems=own", "problems.imports=[here_types]", folder=tmp_path)
    assert done.status == 0 and "twice_here" in done.output, done.output


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("no_such_thing", "give a module of this folder"),
        ("./my_own.py", "not its file: my_own"),
        ("broken_one", "SyntaxError"),
    ],
)
def test_why_an_own_module_is_not_imported(
    module: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken_one.py").write_text("def x(:")
    with pytest.raises(AxiomError, match=said) as refused:
        import_modules("problems.imports", [module])
    assert ("give a module of this folder" in str(refused.value)) == (module == "no_such_thing")


@pytest.mark.parametrize(("typed", "silent"), [(None, True), ("0", False)])
def test_no_library_reports_a_run_unless_somebody_asks_for_it(
    typed: str | None, silent: bool
) -> None:
    """TRL would send the hub each training's model, device and card."""
    name = "HF_HUB_DISABLE_TELEMETRY"
    env = {key: value for key, value in os.environ.items() if key not in (name, "HF_HUB_OFFLINE")}
    env |= {} if typed is None else {name: typed}
    code = f"import axiom_rl.cli; from huggingface_hub import constants as c; print(c.{name})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env, cwd=ROOT
    )
    assert done.stdout.split() == [str(silent)]
