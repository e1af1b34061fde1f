"""Sweeps as a user runs them, in real processes with a stage of a few lines."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from axiom_rl.core.files import read_json
from axiom_rl.run.sweep_jobs import last_error, read_jobs

PROGRAM = Path(__file__).parent / "fake_launch.py"
CPU_S = 3.0


def command(*arguments: str) -> list[str]:
    return [sys.executable, str(PROGRAM), *arguments]


def launch(*arguments: str, folder: Path, program: str = "") -> tuple[int, str]:
    """Run a sweep, by the program with a stage of a few lines or by one in the root."""
    path = PROGRAM.parents[2] / program if program else PROGRAM
    done = subprocess.run(
        [sys.executable, str(path), *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


def started(job: Path) -> list[int]:
    """Processes that ever ran the job."""
    return [int(path.name) for path in (job / "started").glob("[0-9]*")]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.slow
def test_a_failed_job_leaves_the_others_running(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    status, output = launch("-m", "name=crash,last", f"hydra.sweep.dir={sweep}", folder=tmp_path)
    assert status == 1 and "1 of 2 jobs are done, 1 failed" in output
    failed, last = read_jobs(sweep)
    assert (failed.error, last.status) == ("RuntimeError: the loss is NaN", "done")
    assert failed.error in (sweep / "sweep.md").read_text()


@pytest.mark.slow
def test_jobs_may_be_named_after_what_they_are_asked(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    asked = ("-m", "name=a,'b c'", "hydra.sweep.subdir=${hydra.job.override_dirname}")
    status, output = launch(*asked, f"hydra.sweep.dir={sweep}", folder=tmp_path)
    assert status == 0, output
    assert {job.folder.name for job in read_jobs(sweep)} == {"name=a", "name='b c'"}
    status, output = launch(f"resume={sweep}", folder=tmp_path)
    assert status == 0 and "2 of them done already" in output


@pytest.mark.slow
def test_a_sweep_that_is_refused_says_so_once_and_leaves_no_folder(tmp_path: Path) -> None:
    status, output = launch("-m", "seed=0,1", "sampler.n=0", folder=tmp_path)
    assert status == 2 and output.count("sampler.n=0: must be 1 or more") == 1
    assert [*tmp_path.iterdir()] == []


@pytest.mark.slow
def test_failed_jobs_leave_the_others_running_and_only_they_run_again(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    status, output = launch(
        *("-m", "name=good,crash,user,kill,memory,last", f"hydra.sweep.dir={sweep}"),
        folder=tmp_path,
    )
    assert status == 1, "a sweep with failed jobs is no success"
    jobs = {job.parameters["name"]: job for job in read_jobs(sweep)}
    assert [jobs[name].status for name in ("good", "last")] == ["done", "done"], output
    errors = {name: job.error for name, job in jobs.items() if job.status == "failed"}
    assert errors == {
        "crash": "RuntimeError: the loss is NaN",
        "user": "trainer=sft needs trainer.solutions=path.jsonl",
        "kill": "ended by SIGKILL: out of memory, or killed by hand",
        "memory": "MemoryError",
    }
    assert "the loss is NaN" in (sweep / "1" / "job.log").read_text()
    assert "ended by SIGKILL" in (sweep / "3" / "job.log").read_text()
    page = (sweep / "sweep.md").read_text()
    assert "2 of 6 jobs are done, 4 failed" in page and "2 of 6 jobs are done" in output
    assert all(error in page for error in errors.values())
    document = read_json(sweep / "sweep.json")
    assert [*document["jobs"].values()].count("failed") == 4
    assert (sweep / "sweep.html").exists()

    status, output = launch(f"resume={sweep}", folder=tmp_path)
    assert status == 1 and "6 jobs in" in output and "2 of them done already" in output
    runs = [len(started(sweep / str(number))) for number in range(6)]
    assert runs == [1, 2, 2, 2, 2, 1], "only what failed runs again"

    status, output = launch(
        "-m", "name=good,crash", "seed=1", f"hydra.sweep.dir={sweep}", folder=tmp_path
    )
    assert status == 2 and "holds another job (name=good)" in output
    page = (sweep / "sweep.md").read_text()
    (sweep / "sweep.md").unlink()
    again = ("stage=compare", f"stage.sweep={sweep}", f"hydra.run.dir={tmp_path}/compare")
    assert launch(*again, folder=tmp_path)[0] == 0
    assert (sweep / "sweep.md").read_text() == page


@pytest.mark.slow
def test_ctrl_c_ends_the_sweep_without_orphans_and_resume_finishes_it(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    arguments = ("-m", "name=good,hang", f"hydra.sweep.dir={sweep}")
    process = subprocess.Popen(
        command(*arguments), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    wait_for(lambda: started(sweep / "1"))
    page = (sweep / "sweep.html").read_text()
    assert "Not final: the sweep goes on" in page and "1 of 2 jobs are done" in page
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=60)[0].decode()
    assert process.returncode == 130
    assert f"go on with: python launch.py resume={sweep}" in output and "Traceback" not in output
    assert not any(map(alive, started(sweep / "1")))
    assert [job.status for job in read_jobs(sweep)] == ["done", "waiting"]
    assert "stopped; what is done is kept" in (sweep / "1" / "job.log").read_text()

    status, output = launch(f"resume={sweep}", folder=tmp_path)
    assert status == 0, output
    assert [job.status for job in read_jobs(sweep)] == ["done", "done"]
    assert [len(started(sweep / name)) for name in ("0", "1")] == [1, 2]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux stops orphans")
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_job_outlives_a_sweep_that_is_killed(tmp_path: Path, number: int) -> None:
    arguments = ("-m", "name=hang,good", f"hydra.sweep.dir={tmp_path}/sweep")
    process = subprocess.Popen(
        command(*arguments), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: started(tmp_path / "sweep" / "0"))
    process.send_signal(number)
    process.wait(timeout=60)
    wait_for(lambda: not any(map(alive, started(tmp_path / "sweep" / "0"))))


@pytest.mark.slow
def test_each_gpu_has_one_job_at_a_time(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    options = ("hydra.launcher.gpus=[3,5]", f"hydra.sweep.dir={sweep}")
    assert launch("-m", "seed=0,1,2,3", *options, folder=tmp_path)[0] == 0
    logs = [(sweep / str(number) / "job.log").read_text() for number in range(4)]
    used = [text.split("visible GPUs: ")[1][0] for text in logs]
    assert used[:2] == ["3", "5"] and set(used[2:]) <= {"3", "5"}


@pytest.mark.slow
def test_jobs_get_the_users_own_config_folder_and_folder_names(tmp_path: Path) -> None:
    own = tmp_path / "mine" / "experiment" / "own.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("# @package _global_\nsampler:\n  n: 3\n")
    place = (f"hydra.sweep.dir={tmp_path}/sweep", "hydra.sweep.subdir=job_${hydra.job.num}")
    arguments = ("--config-dir", "mine", "-m", "experiment=own", "seed=0,1", *place)
    status, output = launch(*arguments, folder=tmp_path)
    assert status == 0, output
    for name in ("job_0", "job_1"):
        saved = OmegaConf.load(tmp_path / "sweep" / name / "config.yaml")
        assert saved.sampler.n == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trainer.args.learning_rat=1"], "did you mean learning_rate"),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                (
                    ["sampler.n=8,0"],
                    "sampler.n=0: must be 1 or more (in the job seed=0 sampler.n=0)",
                ),
                (["model=qwen2.5-coder-0.5"], "did you mean qwen2.5-coder-0.5b"),
                (["hydra.launcher.gpu=[1]"], "did you mean gpus"),
                (["hydra.launcher.gpus=3"], "give a list, hydra.launcher.gpus=[3]"),
            )
        ),
    ],
)
def test_what_is_mistyped_is_refused_before_any_job(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    status, output = launch("-m", "seed=0,1", *arguments, folder=tmp_path)
    spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    assert status == 2 and said in output and "Traceback" not in output
    assert spent < CPU_S
    assert not [*tmp_path.rglob("job.json")]


def test_the_error_of_a_log_is_its_last_marked_line() -> None:
    log = "step 1\n12:00:00 ERROR   no such file: x\nreport: y\n"
    assert last_error(log) == "no such file: x"
    assert last_error("Traceback\nValueError: bad\n\n") == "ValueError: bad"
    assert last_error("torch.OutOfMemoryError: CUDA out of memory\n").startswith("torch.OutOf")
    assert last_error("error: unknown key seeds\n") == "unknown key seeds"
    assert last_error("only this\n") == "only this" and last_error("") == ""
