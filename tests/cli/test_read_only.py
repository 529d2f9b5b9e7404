"""A user who may not write to the runs folder can inspect everything in it."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.owned import acquire
from rdc_sweeps.runs.records import Failure, Origin, Status
from rdc_sweeps.runs.requests import request_run
from rdc_sweeps.specs.catalogue import Catalogue

SHIPPED = Path(__file__).parents[2] / "experiments"


@pytest.fixture
def folder(experiments: Path) -> Iterator[Path]:
    """A folder that others may enter, with experiments and the runs of another user."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        shutil.copytree(experiments, root / "experiments")
        preempted, failed = Catalogue(root / "experiments").runs("tiny", "small")
        for run in (preempted, failed):
            directory = RunDirectory(root / "runs", run.id)
            request_run(directory, run.spec, Origin(table="tiny", row=run.row.id, profile="small"))
            with acquire(directory) as owned:
                owned.write_status(Status.of_this_process("training"))
                directory.log.write_text("what was printed\n")
                if run is failed:
                    owned.write_failure(Failure(cause="disk full", traceback="no room", time=0, host="h"))
        for path in (root, *root.rglob("*")):
            mode = path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) | stat.S_IRGRP | stat.S_IROTH
            path.chmod(mode | (stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH if path.is_dir() else 0))
        yield root
        for path in (root, *root.rglob("*")):
            path.chmod(path.stat().st_mode | stat.S_IWUSR)


@pytest.mark.slow
def test_every_look_works_without_the_right_to_write(folder: Path, environment: dict[str, str]) -> None:
    preempted, failed = (run.id for run in Catalogue(folder / "experiments").runs("tiny", "small"))
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("needs setpriv where tests run as root")
    commands: dict[tuple[str, ...], str] = {
        ("tables",): "tiny",
        ("tables", "tiny"): "preempted",
        ("status",): "1 preempted, 1 failed",
        ("status", "tiny"): "disk full",
        ("show", failed): "no room",
        ("logs", preempted): "what was printed",
        ("run", "tiny", "-n"): "failed: disk full",
        ("report", "tiny"): "X",
        ("claims",): "RDC is better than Li et al.",
        ("doctor",): "needed by tiny",
        ("config",): "root",
        ("validate",): "",
        ("schema", "table"): "$schema",
        ("tune", "-n", "--profile", "demo", "--experiments", str(SHIPPED)): "trials requested",
        ("sync",): "",
    }
    # To root, which owns the folder here, its missing write bits mean something only without this capability.
    unprivileged = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] if os.geteuid() == 0 else []
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    for command, wanted in commands.items():
        done = subprocess.run(
            [*unprivileged, sys.executable, "-B", "-m", "rdc_sweeps", *command],
            capture_output=True,
            text=True,
            cwd=folder,
            env={
                **environment,
                "HOME": str(folder),
                "XDG_CONFIG_HOME": str(folder),
                "RDC_SWEEP_ROOT": str(folder / "runs"),
                "RDC_SWEEP_EXPERIMENTS": str(folder / "experiments"),
                "RDC_SWEEP_CACHE_ROOT": str(folder / "cache"),
                "PYTHONPATH": str(Path(__file__).parents[2]),
            },
            timeout=120,
        )
        assert "Traceback" not in done.stderr, (command, done.stderr)
        assert wanted in done.stdout + done.stderr, (command, done.stdout, done.stderr)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
