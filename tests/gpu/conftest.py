"""A folder of experiments with one small table."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from rdc_sweeps.contrast import kernel_choice

TABLE = """
table: tiny
title: Smallest runs
dataset: rooms
rows:
  - id: alone
    method: MTL
    spec: {method: {name: supervised}}
  - id: contrasted
    method: RDC
    baseline: alone
    spec: {labels: {setting: randomlabels}, method: {name: region_contrast, mapping: {channels: [8, 8]},
      extraction: {name: region, regions: {source: superpixel, segments: 8}}}}
defaults:
  dataset: {name: rooms, size: [32, 64], train_images: 8, test_images: 20}
  labels: {setting: onelabel, origin: generated}
  backbone: {name: segnet, width: 2}
  training: {batch_size: 4, epochs: 3}
"""
PROFILE = "profile: tiny\ntitle: Nothing changes\nselection: last\nseeds: [0]\n"


@pytest.fixture(autouse=True)
def experiments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with one small table, which the settings name, beside an empty cache."""
    folder = tmp_path / "experiments"
    (folder / "profiles").mkdir(parents=True)
    (folder / "tiny.yaml").write_text(TABLE)
    (folder / "profiles" / "tiny.yaml").write_text(PROFILE)
    monkeypatch.setenv("RDC_SWEEP_EXPERIMENTS", str(folder))
    monkeypatch.setenv("RDC_SWEEP_CACHE_ROOT", str(tmp_path / "cache"))
    torch.set_num_threads(1)
    yield folder
    kernel_choice.configure("off", None)
