"""What the commands say about the data of runs that are done."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rdc_sweeps.data.provenance import DataRecord, SplitRecord
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Result
from tests.cli.conftest import Cli
from tests.data.conftest import write_mtan
from tests.runs.writing import write_data, write_result

__all__ = ["write_mtan"]

CHOSEN = ("tiny", "mtl", "--set", "dataset.name=nyuv2", "--set", "dataset.size=[32, 64]")


@pytest.mark.parametrize("comparable", [False, True])
def test_a_dry_run_tells_how_many_images_there_are(
    cli: Cli, write_mtan: Callable[..., Path], experiments: Path, comparable: bool
) -> None:
    profile = experiments / "profiles" / "small.yaml"
    profile.write_text(f"{profile.read_text()}comparable: {str(comparable).lower()}\n")
    shown = cli("run", *CHOSEN, "-n", RDC_SWEEP_NYUV2_ROOT=str(write_mtan(train=16, val=4)))
    assert shown.returncode == 0, shown.stderr
    told = " ".join(shown.stderr.split())
    assert "nyuv2: has 16 training and 4 test images, but 795 and 654 are published" in told
    assert ("`run` refuses it under this profile" in told) == comparable


def test_run_tells_what_is_done_on_other_data(cli: Cli, write_mtan: Callable[..., Path], tmp_path: Path) -> None:
    root = str(write_mtan(train=16, val=4))
    (one,) = json.loads(cli("run", *CHOSEN, "-n", "--json", RDC_SWEEP_NYUV2_ROOT=root).stdout)
    directory = RunDirectory(tmp_path / "runs", one["run"])
    write_result(
        directory, Result(run=one["run"], selected={}, epochs=1, images=12, parameters=1, seconds=1, device="cpu")
    )
    split = SplitRecord(images=12, digest="0")
    write_data(
        directory,
        DataRecord(root=root, train=split, test=split, training_images=8, validation_images=4, test_images=4),
    )
    done = cli("run", *CHOSEN, RDC_SWEEP_NYUV2_ROOT=root)
    assert done.returncode == 0
    told = " ".join(done.stderr.split())
    assert "1 of 1 runs are already done" in told
    assert "tiny/mtl seed 0: has a result, but was trained on other data (12 training images then, 16 now," in told
    assert "put its data back, or train from the beginning with --rerun" in told
    # Without the data there is nothing to compare.
    assert "other data" not in cli("run", *CHOSEN).stderr
