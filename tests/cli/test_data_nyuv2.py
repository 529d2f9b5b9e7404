"""`rdc-sweep data import nyuv2`: what it prints, and what is left of a killed one."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rdc_sweeps.data.importing.record import UNFINISHED
from rdc_sweeps.data.roots import open_nyuv2
from rdc_sweeps.errors import DataError
from rdc_sweeps.specs.dataset import NyuV2Spec
from tests.cli.conftest import Inside
from tests.data.importing.conftest import files, scenes

__all__ = ["files", "scenes"]


def command(files: Path, out: Path, *options: str) -> list[str]:
    fixed = ("--splits", str(files / "splits.mat"), "--size", "96x128", "--workers", "1")
    return ["data", "import", "nyuv2", str(files / "labeled.mat"), str(out), *fixed, *options]


def test_it_tells_what_was_imported_and_how_to_use_it(inside: Inside, files: Path, tmp_path: Path) -> None:
    done = inside(*command(files, tmp_path / "out"))
    assert (done.code, done.out) == (0, "")
    assert done.err.splitlines() == [
        "imported: 0 of 3",
        "imported: 3 of 3",
        f"{tmp_path}/out: 3 images imported, 0 already there",
        f"to check them: rdc-sweep data check {tmp_path}/out",
        f"to use them: export RDC_SWEEP_NYUV2_ROOT={tmp_path}/out",
    ]
    again = inside(*command(files, tmp_path / "out"))
    assert f"{tmp_path}/out: 0 images imported, 3 already there" in again.err
    other = inside(*command(files, tmp_path / "out", "--no-crop"))
    assert other.code == 2
    assert "something else was imported here (cropped was True, and is False)" in other.err


def stopped(files: Path, out: Path, environment: dict[str, str], number: signal.Signals) -> tuple[int, str]:
    """Stop an import after its first image; returns its exit code and what it printed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "rdc_sweeps", *command(files, out)], env=environment, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not (out / "train/normal/0.npy").exists():
        time.sleep(0.001)
    if process.poll() is None:
        os.kill(process.pid, number)
    _, message = process.communicate()
    return process.returncode, message


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_import_is_refused_until_it_is_continued(
    inside: Inside, files: Path, tmp_path: Path, environment: dict[str, str], number: signal.Signals
) -> None:
    out = tmp_path / "out"
    for _ in range(10):
        code, message = stopped(files, out, environment, number)
        if (out / UNFINISHED).is_dir():
            break
        shutil.rmtree(out)  # It had ended first, on a busy machine.
    if number == signal.SIGINT:
        assert code == 130
        assert message.endswith("interrupted; finished work is kept\n")
    with pytest.raises(DataError, match="import unfinished; run the same `rdc-sweep data import` command again"):
        open_nyuv2(NyuV2Spec(size=(96, 128)), out, tmp_path)
    continued = inside(*command(files, out))
    assert continued.code == 0
    assert "0 already there" not in continued.err
    assert inside(*command(files, tmp_path / "whole")).code == 0
    first, second = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (out, tmp_path / "whole")
    )
    assert first == second
    assert len(first) == 3 * 4 + 1
