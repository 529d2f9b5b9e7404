"""The guide docs/own-data.md, followed step by step with scenes of the embedded data set as the user's own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, cache, cli, environment, experiments
from tests.docs.pages import ROOT
from tests.test_extending import COMMANDS, FILE, install

__all__ = ["cache", "cli", "environment", "experiments"]

GUIDE = ROOT / "docs" / "own-data.md"


def write_scenes(folder: Path, environment: dict[str, str]) -> None:
    """Call the guide's functions as a user's script would: 12 training and 4 test images, a label setting."""
    script = folder / "convert.py"
    script.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        f"sys.path[:0] = [{str(folder)!r}, {str(ROOT)!r}]\n"
        "from write import write_scene\n"
        "from label import write_label_setting\n"
        "from rdc_sweeps.synthetic.rooms.scenes import render\n"
        "for split, first, count in (('train', 0, 12), ('val', 100, 4)):\n"
        "    for index in range(count):\n"
        "        scene = render(0, first + index, (64, 96))\n"
        "        semantic = scene.semantic.clip(max=3)\n"
        "        normal = scene.normal * (split == 'val' or index % 2 == 0)\n"
        "        write_scene(Path('desks', split), index, scene.image, semantic, scene.depth, normal)\n"
        "has = [[1, 0, 1] if index % 2 == 0 else [1, 1, 0] if index % 3 == 0 else [0, 1, 0] for index in range(12)]\n"
        "write_label_setting(Path('desks_settings'), has)\n"
    )
    done = subprocess.run([sys.executable, str(script)], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_guide_trains_and_reports(cli: Cli, environment: dict[str, str], tmp_path: Path) -> None:
    for name, text in FILE.findall(GUIDE.read_text(encoding="utf-8")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    install(tmp_path)
    write_scenes(tmp_path, environment)
    for name in ("RDC_SWEEP_EXPERIMENTS", "RDC_SWEEP_PROFILE"):
        del environment[name]
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), str(ROOT)])
    [commands] = COMMANDS.findall(GUIDE.read_text(encoding="utf-8"))
    for command in commands.splitlines():
        program, *arguments = command.split()
        assert program == "rdc-sweep"
        done = cli(*arguments)
        assert done.returncode == 0, done.stderr
    assert all(word in done.stdout for word in ("MTL", "RDC", "8 training images", "4 held out", "4 test images")), (
        done.stdout
    )
    # A label setting of one's own: normals that are missing are never read.
    own = ["--set", "labels.setting=randomlabels", "--set", "labels.origin=published", "--set", "training.epochs=1"]
    trained = cli("run", "desks", "mtl", "--profile", "plain", *own, RDC_SWEEP_LABEL_SETTINGS_ROOT=str(tmp_path))
    assert trained.returncode == 0, trained.stderr


def test_everything_in_the_guide_is_imported_from_one_module() -> None:
    modules = set(re.findall(r"^(?:from|import) (rdc_sweeps\S*)", GUIDE.read_text(encoding="utf-8"), re.MULTILINE))
    assert modules == {"rdc_sweeps.extend"}
