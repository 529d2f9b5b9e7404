"""Disk operations of one run, by kind of system call, as `strace` counts them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.dispatch.planning import distinct_runs
from benchmarks.dispatch.trainer import Trainer
from rdc_sweeps.dispatch.lifecycle import run_to_end
from rdc_sweeps.dispatch.plan import plan, prepare_directory
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.settings import Settings

HERE = Path(__file__).parents[2]

KINDS = {
    "open": {"open", "openat", "creat"},
    "stat": {"stat", "lstat", "newfstatat", "statx", "access", "faccessat2", "readlink"},
    "rename": {"rename", "renameat", "renameat2"},
    "make or remove": {"mkdir", "mkdirat", "rmdir", "unlink", "unlinkat"},
    "list": {"getdents64"},
    "lock": {"flock"},
    "sync": {"fsync", "fdatasync"},
    "read": {"read", "pread64"},
    "write": {"write", "pwrite64", "ftruncate"},
}
METADATA = ("open", "stat", "rename", "make or remove", "list", "lock")
"""Requests to a shared disk's metadata server; `sync` and `write` go to its data servers."""


def run() -> list[dict[str, Any]]:
    """Operations of a run without epochs, and those added by each epoch and heartbeat; empty without strace."""
    if shutil.which("strace") is None:
        return []
    entered = _count("enter", 0, 0.0)
    bare, epoch, beats = _count("train", 1, 0.0), _count("train", 2, 0.0), _count("train", 1, 2.05)
    again = _count("look", 0, 0.0)
    rows = [
        ("plan and enter", entered, 1),
        ("a life with one epoch", bare, 1),
        ("each epoch more", epoch - bare, 1),
        ("each heartbeat", beats - bare, 10),
        ("a look at a run that is done", again, 1),
    ]
    return [
        {
            "what": what,
            **{kind: round(counts[kind] / share, 1) for kind in KINDS},
            "metadata": round(sum(counts[kind] for kind in METADATA) / share, 1),
        }
        for what, counts, share in rows
    ]


def _count(part: str, epochs: int, seconds: float) -> Counter[str]:
    with tempfile.TemporaryDirectory(prefix="operations-") as folder:
        root, trace = Path(folder) / "runs", Path(folder) / "trace"
        if part != "enter":
            _prepare(root)
        if part == "look":
            _train(root, 1, 0.0)
        subprocess.run(
            [
                "strace", "-f", "-y", "-qq", "-o", str(trace), sys.executable, "-m", "benchmarks.dispatch.operations",
                part, str(root), str(epochs), str(seconds),
            ],
            check=True,
            cwd=HERE,
            env={**os.environ, "PYTHONPATH": str(HERE)},
        )  # fmt: skip
        counts: Counter[str] = Counter()
        for line in trace.read_text(errors="replace").splitlines():
            call = re.match(r"\d+ +(\w+)\((.*)", line)
            # A stat of an open file does not reach the disk.
            if call and str(root) in line and not re.match(r'\d+<[^>]*>, ""', call[2]):
                counts.update(kind for kind, names in KINDS.items() if call[1] in names)
        return counts


def _prepare(root: Path) -> None:
    for one in plan(distinct_runs(1), root):
        prepare_directory(one, root, rerun=False)


def _train(root: Path, epochs: int, seconds: float) -> None:
    for one in distinct_runs(1):
        trainer = Trainer(RunDirectory(root, one.id), epochs, steps=1, seconds=seconds)
        # Heartbeats are counted where the one step is long.
        run_to_end(trainer.directory, Settings(root=root, heartbeat=0.2 if seconds else 1000.0), trainer.train)


def _look(root: Path) -> None:
    plan(distinct_runs(1), root)


if __name__ == "__main__":
    part, folder, epochs, seconds = sys.argv[1:]
    if part == "enter":
        _prepare(Path(folder))
    elif part == "train":
        _train(Path(folder), int(epochs), float(seconds))
    else:
        _look(Path(folder))
