"""The walk in docs/data.md from the file of NYU-V2's owners to a run, on a few small images."""

from pathlib import Path

import pytest
import yaml

from rdc_sweeps.data.importing import nyuv2
from tests.cli.conftest import Cli, Inside, cache, cli, environment, experiments, inside
from tests.data.importing.labelled import drawn, write_labelled
from tests.docs.pages import ROOT, commands

__all__ = ["cache", "cli", "environment", "experiments", "inside"]

TRAIN, TEST = (1, 2, 3, 4, 5, 6), (7, 8)


@pytest.mark.slow
def test_the_walk_ends_with_a_trained_run(
    inside: Inside, cli: Cli, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_labelled(tmp_path / "nyu_depth_v2_labeled.mat", [drawn(index) for index in range(len(TRAIN + TEST))])
    monkeypatch.setattr(nyuv2, "IMAGES", len(TRAIN + TEST))
    monkeypatch.setattr(nyuv2, "official_split", lambda: (TRAIN, TEST))
    small = tmp_path / "small"
    (small / "profiles").mkdir(parents=True)
    (small / "table3.yaml").write_text((ROOT / "experiments/table3.yaml").read_text())
    images = {"size": [64, 96], "train_images": 4, "validation_images": 2, "test_images": 2}
    reduced = {
        "dataset": images,
        "backbone": {"name": "segnet", "width": 2},
        "training": {"epochs": 1, "batch_size": 4},
        "labels": {"origin": "generated"},
    }
    profile = {"profile": "cpu", "title": "Small", "selection": "last", "overlays": [{"set": reduced}]}
    (small / "profiles/cpu.yaml").write_text(yaml.safe_dump(profile))
    environment["RDC_SWEEP_EXPERIMENTS"] = str(small)
    page = [one for one in commands() if one.place.startswith("docs/data.md")]
    first = next(number for number, one in enumerate(page) if one.text == "rdc-sweep data where nyuv2")
    run = next(number for number, one in enumerate(page) if one.text.startswith("rdc-sweep run table3"))
    walk = page[first:run]
    assert any(one.text.startswith("rdc-sweep data import nyuv2") for one in walk)
    for one in walk:
        if one.arguments[0] == "export":
            name, _, value = one.arguments[1].partition("=")
            environment[name] = value
            continue
        # In this process, which has the small split.
        extra = ["--workers", "1"] if "import" in one.arguments else []
        done = inside(*one.arguments[1:], *extra)
        assert done.code == 0, f"{one}: {done.out}{done.err}"
    trained = cli(*page[run].arguments[1:])
    assert trained.returncode == 0, trained.stderr
    assert "done, epoch 1 of 1" in trained.stderr
