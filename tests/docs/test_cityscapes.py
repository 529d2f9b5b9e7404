"""The walk in docs/data.md from the official archives of Cityscapes to a run, on a few small images."""

import shlex
from pathlib import Path

import numpy as np
import pytest
import yaml

from rdc_sweeps.synthetic.streets.scenes import render
from tests.cli.conftest import Cli, cache, cli, environment, experiments
from tests.data.importing.official import ID_OF_CLASS, write_official
from tests.docs.pages import ROOT, commands

__all__ = ["cache", "cli", "environment", "experiments"]


@pytest.mark.slow
def test_the_walk_ends_with_a_trained_run(cli: Cli, environment: dict[str, str], tmp_path: Path) -> None:
    for number in range(10):
        scene = render(0, number, (128, 256))
        assert scene.semantic is not None
        assert scene.depth is not None
        write_official(
            tmp_path,
            "train" if number < 8 else "val",
            f"aachen_{number:06d}_000019",
            np.round(scene.image * 255).astype(np.uint8),
            ID_OF_CLASS[scene.semantic],
            np.round(scene.depth * 65535).astype(np.uint16),
        )
    small = tmp_path / "small"
    (small / "profiles").mkdir(parents=True)
    (small / "table2.yaml").write_text((ROOT / "experiments/table2.yaml").read_text())
    images = {"size": [64, 96], "train_images": 4, "validation_images": 2, "test_images": 2}
    reduced = {
        "dataset": images,
        "backbone": {"width": 2},
        "training": {"epochs": 1, "batch_size": 4},
        "method": {"mapping": {"channels": [4, 4]}},
    }
    profile = {"profile": "cpu", "title": "Small", "selection": "last", "overlays": [{"set": reduced}]}
    (small / "profiles/cpu.yaml").write_text(yaml.safe_dump(profile))
    environment["RDC_SWEEP_EXPERIMENTS"] = str(small)
    walk = [one for one in commands() if one.place.startswith("docs/data.md") and "cityscapes" in one.text]
    first = next(number for number, one in enumerate(walk) if "data import" in one.text)
    assert walk[first + 2].text == "export RDC_SWEEP_CITYSCAPES_ROOT=cityscapes"
    done = cli(*walk[first].arguments[1:])
    assert done.returncode == 0, done.stderr
    assert "8 training and 2 validation images, but 2975 and 500 are published" in done.stderr
    assert "10 images imported" in done.stderr
    checked = cli(*walk[first + 1].arguments[1:])
    assert checked.returncode == 0, checked.stdout
    assert "cityscapes as cityscapes" in checked.stdout
    name, _, value = walk[first + 2].arguments[1].partition("=")
    environment[name] = value
    [run] = [
        shlex.split(line)
        for line in (ROOT / "docs/data.md").read_text().splitlines()
        if line.startswith("rdc-sweep run table2")
    ]
    trained = cli(*run[1:])
    assert trained.returncode == 0, trained.stderr
    assert "done, epoch 1 of 1" in trained.stderr
