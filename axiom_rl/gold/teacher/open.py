"""Which teacher a config names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from axiom_rl.config import (
    ApiTeacherConfig,
    FileTeacherConfig,
    LocalTeacherConfig,
    TeacherConfig,
)
from axiom_rl.core.errors import AxiomError
from axiom_rl.core.types import Problem
from axiom_rl.gold.teacher.asking import Ledger, Teacher
from axiom_rl.gold.teacher.compared import load_compared
from axiom_rl.gold.teacher.file import FileTeacher, read_texts


def check_teacher(config: TeacherConfig) -> None:
    """Refuse a teacher that lacks something, before anything is written, fetched or loaded.

    Raises:
        AxiomError: naming the key.
    """
    match config:
        case LocalTeacherConfig():
            from axiom_rl.gold.teacher.local import teacher_model  # noqa: PLC0415 (loads torch)

            teacher_model(config)
        case ApiTeacherConfig():
            from axiom_rl.gold.teacher.api.endpoint import check_api  # noqa: PLC0415 (an extra)

            check_api(config)
        case FileTeacherConfig():
            read_texts(config)
        case other:
            raise AxiomError(f"teacher.kind={other.kind}: no such teacher; see conf/teacher/")
    if config.check == "never" and config.check_files:
        raise AxiomError(
            "teacher.check=never compares answers with nothing, and teacher.check_files names "
            "what to compare them with: leave one of the two out"
        )
    if config.check == "always" or config.check_files:
        load_compared(config)


def open_teacher(
    config: TeacherConfig, folder: Path, problems: Sequence[Problem], ledger: Ledger
) -> Teacher:
    """Return the teacher; a local one is found and not loaded yet.

    Args:
        config: names it.
        folder: of the run.
        problems: all of the split.
        ledger: what earlier starts of the run have spent.

    Raises:
        AxiomError: naming the key of what is missing.
    """
    match config:
        case LocalTeacherConfig():
            from axiom_rl.gold.teacher.local import LocalTeacher  # noqa: PLC0415 (loads torch)

            return LocalTeacher(config, folder)
        case ApiTeacherConfig():
            from axiom_rl.gold.teacher.api.requests import ApiTeacher  # noqa: PLC0415 (an extra)

            spent = ledger.cost + ledger.uncertain
            return ApiTeacher(config, str(folder.resolve()), spent, ledger.has)
        case FileTeacherConfig():
            return FileTeacher(config, problems)
        case other:
            raise AxiomError(f"teacher.kind={other.kind}: no such teacher; see conf/teacher/")
