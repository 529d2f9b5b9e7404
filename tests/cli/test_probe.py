"""`rdc-sweep probe` on small runs."""

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import Cli

PATCHES = ["--set", "method.extraction={name: patch, size: 16}"]


@pytest.mark.slow
def test_runs_are_probed_compared_and_written(cli: Cli, tmp_path: Path) -> None:
    chosen = ["ours", *PATCHES, "--set", "training.keep_checkpoints=[0]"]
    assert cli("run", "tiny", *chosen).returncode == 0
    assert cli("run", "tiny", "mtl").returncode == 0
    folders = (tmp_path / "runs").iterdir()
    runs = {json.loads((folder / "origin.json").read_text())["row"]: folder.name for folder in folders}

    def probe(*words: str, **environment: Any) -> Any:
        return cli("probe", "--images", "4", *words, **environment)

    before = sorted(path for path in (tmp_path / "runs").rglob("*"))
    shown = probe(runs["ours"][:6], "--output", "out")
    assert shown.returncode == 0, shown.stderr
    assert f"tiny/ours seed 0, run {runs['ours']} after epoch 1: region_contrast, 4 images" in shown.stdout
    assert "…" not in shown.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "probe.json",
        "probe-region_contrast.png",
        "probe.html",
    }
    assert sorted(path for path in (tmp_path / "runs").rglob("*")) == before
    kept = json.loads(probe(runs["ours"], "--epoch", "0", "--json").stdout)
    assert kept[0]["epoch"] == 0
    assert (
        kept[0]["probes"][0]["values"]
        != json.loads((tmp_path / "out" / "probe.json").read_text())[0]["probes"][0]["values"]
    )
    missing = probe(runs["ours"], "--epoch", "1")
    assert missing.returncode != 0
    assert "has no epoch-1.pt; epochs with kept weights: 0" in missing.stderr
    without = probe(runs["mtl"])
    assert "has no cross-task term to probe" in without.stderr
    afresh = probe(
        runs["mtl"],
        runs["ours"],
        "--compare",
        "--refit",
        "1",
        "--profile",
        "small",
        "--method-of",
        "tiny/ours",
        *PATCHES,
    )
    assert afresh.returncode == 0, afresh.stderr
    assert "trained afresh for 1 steps" in afresh.stdout
    assert f"({runs['ours']}) less tiny/mtl seed 0 ({runs['mtl']}), paired" in afresh.stdout
    untrained = probe(runs["ours"], "--set", "method.pairs=sum")
    assert "train it with --refit STEPS" in untrained.stderr
    outside = probe(runs["ours"], "--refit", "1", "--set", "training.epochs=3")
    assert "a probe can change the method alone" in outside.stderr
    assert "Traceback" not in shown.stderr + missing.stderr + without.stderr + untrained.stderr + outside.stderr


def test_an_unknown_run_is_refused(cli: Cli) -> None:
    found = cli("probe", "0123")
    assert found.returncode == 2
    assert "no run '0123'" in found.stderr
