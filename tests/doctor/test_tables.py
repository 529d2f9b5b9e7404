from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from rdc_sweeps.doctor import tables
from rdc_sweeps.doctor.tables import examine_tables
from rdc_sweeps.settings import Settings
from tests.data.conftest import write_mtan

__all__ = ["write_mtan"]

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


def told(**values: object) -> dict[str, tuple[str, str]]:
    settings = Settings(experiments=EXPERIMENTS, **values)  # type: ignore[arg-type]
    return {one.topic: (one.level, one.text) for one in examine_tables(settings)}


def test_the_demo_needs_nothing(tmp_path: Path) -> None:
    found = told(profile="demo", cache_root=tmp_path)
    assert {level for level, _ in found.values()} == {"ok"}
    assert "needed by table3" in found["data rooms 96x128"][1]
    assert not list(tmp_path.iterdir())


def test_what_was_never_set_up_is_a_warning_and_what_is_damaged_a_problem(tmp_path: Path) -> None:
    found = told(profile="cpu", cache_root=tmp_path)
    assert found["data nyuv2 96x128"][0] == "warning"
    assert "RDC_SWEEP_NYUV2_ROOT" in found["data nyuv2 96x128"][1]
    assert found["weights efficientnet_lite0"][0] == "warning"
    found = told(profile="cpu", cache_root=tmp_path, nyuv2_root=tmp_path, weights_root=tmp_path)
    assert found["data nyuv2 96x128"][0] == "problem"
    assert "no such file" in found["weights efficientnet_lite0"][1]
    assert found["weights efficientnet_lite0"][0] == "problem"


def test_published_label_settings_are_checked_without_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # It would ask the hub.
    monkeypatch.setattr(tables, "check_pretrained", lambda spec, root: None)
    folder = tmp_path / "nyuv2_settings"
    folder.mkdir()
    mask = torch.from_numpy(np.eye(3, dtype=np.float32)[np.arange(795) % 3])
    torch.save({"labels_weights": mask}, folder / "onelabel.pth")
    torch.save({"labels_weights": mask[:5]}, folder / "randomlabels.pth")
    found = told(profile="paper", cache_root=tmp_path, label_settings_root=tmp_path)
    assert found["labels nyuv2 onelabel"][0] == "ok"
    assert found["labels nyuv2 randomlabels"][0] == "problem"


def test_a_short_or_implausible_data_set_is_told(
    write_mtan: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "check_pretrained", lambda spec, root: None)
    root = write_mtan(train=500, val=330, size=(4, 4))
    short = "has 500 training and 330 test images, but 795 and 654 are published"
    for profile, name, level in (("cpu", "data nyuv2 96x128", "warning"), ("paper", "data nyuv2 288x384", "problem")):
        found = told(profile=profile, cache_root=tmp_path, nyuv2_root=root)
        assert found[name][0] == level
        assert short in found[name][1]
    np.save(root / "train/depth/0.npy", np.full((4, 4), 2700, np.uint16))
    found = told(profile="cpu", cache_root=tmp_path, nyuv2_root=root)
    assert found["data nyuv2 96x128"][0] == "problem"
    assert "millimetres: divide by 1000" in found["data nyuv2 96x128"][1]


def test_an_unknown_profile_is_reported() -> None:
    assert told(profile="none")["tables"][0] == "problem"


def test_damaged_data_are_to_be_checked(tmp_path: Path) -> None:
    settings = Settings(experiments=EXPERIMENTS, profile="cpu", cache_root=tmp_path, nyuv2_root=tmp_path)
    (found,) = (one for one in examine_tables(settings) if one.topic == "data nyuv2 96x128")
    assert found.remedy == f"rdc-sweep data check {tmp_path} lists all that is wrong"
    never = Settings(experiments=EXPERIMENTS, profile="cpu", cache_root=tmp_path)
    assert all(one.remedy is None for one in examine_tables(never) if one.topic.startswith("data"))
