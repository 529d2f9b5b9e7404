"""The guide docs/own-data.md, followed step by step with scenes of the embedded data set as the user's own."""

import os
import re
from pathlib import Path

import pytest

from rdc_sweeps.data.importing.own import open_folder_source
from tests.cli.conftest import Cli, cache, cli, environment, experiments
from tests.data.importing.own_files import write_files
from tests.docs.pages import ROOT
from tests.test_extending import COMMANDS, FILE, install

__all__ = ["cache", "cli", "environment", "experiments"]

GUIDE = ROOT / "docs" / "own-data.md"
FILES = dict(FILE.findall(GUIDE.read_text(encoding="utf-8")))


@pytest.fixture
def folder(environment: dict[str, str], tmp_path: Path) -> Path:
    """The guide's files and images that they describe, 12 for training and 4 for testing."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    write_files(tmp_path, scenes=8, ids_of=[1 + one % 7 for one in range(13)])
    for name in ("RDC_SWEEP_EXPERIMENTS", "RDC_SWEEP_PROFILE"):
        del environment[name]
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path / "desks" / "package"), str(ROOT)])
    return tmp_path


def follow(cli: Cli, folder: Path) -> str:
    """Execute the commands of the guide; what the last one printed."""
    for command in "".join(COMMANDS.findall(GUIDE.read_text(encoding="utf-8"))).splitlines():
        program, *arguments = command.split()
        assert program == "rdc-sweep"
        done = cli(*arguments)
        assert done.returncode == 0, done.stderr
        if arguments[0] == "data":
            install(folder / "desks" / "package")
    return done.stdout


@pytest.mark.slow
def test_the_guide_trains_and_reports(cli: Cli, folder: Path) -> None:
    printed = follow(cli, folder)
    assert all(word in printed for word in ("MTL", "RDC", "8 training images", "4 held out", "4 test images")), printed


@pytest.mark.slow
def test_images_that_lack_labels_train(cli: Cli, folder: Path) -> None:
    for index, path in enumerate(sorted(folder.glob("photos/*/*.jpg"))):
        for kind, end, absent in (
            ("labels", ".png", index % 3 == 0),
            ("depth", "_depth.png", index % 3 > 0),
            ("normals", ".png", index % 2 == 0),
        ):
            if absent:
                (folder / kind / path.parent.name / f"{path.stem}{end}").unlink()
    described = (folder / "desks.yaml").read_text()
    described = re.sub(r"(labels.*\n|depth.*(?=\})|normals.*(?=\}))", lambda found: optional(found[0]), described)
    (folder / "desks.yaml").write_text(described)
    done = cli("data", "import", "folder", "desks.yaml", "desks")
    assert done.returncode == 0, done.stderr
    install(folder / "desks" / "package")
    assert "labels: {setting: randomlabels, origin: published}" in done.stderr
    (told,) = re.findall(r"in rdc-sweep.toml: (label_settings_root = .*)", done.stderr)
    settings = folder / "rdc-sweep.toml"
    settings.write_text(f"{told}\n{settings.read_text()}")
    own = ["--set", "labels.setting=randomlabels", "--set", "labels.origin=published", "--set", "training.epochs=1"]
    trained = cli("run", "desks", "mtl", "--profile", "plain", *own)
    assert trained.returncode == 0, trained.stderr


def optional(text: str) -> str:
    """A line of the description whose label may be missing."""
    return f"{text}  optional: true\n" if text.endswith("\n") else f"{text}, optional: true"


def test_the_description_of_the_guide_is_valid(folder: Path) -> None:
    assert open_folder_source(folder / "desks.yaml").counts == {"train": 12, "val": 4}
