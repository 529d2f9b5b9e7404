"""`rdc-sweep figures` and `rdc-sweep compare` on small runs."""

import json
from pathlib import Path

import numpy as np
import pytest

from .conftest import Cli, Inside


@pytest.mark.slow
def test_trained_runs_are_drawn_and_compared(cli: Cli, tmp_path: Path) -> None:
    trained = cli("run", "tiny", "--seeds", "0", "--keep-predictions", "2")
    assert trained.returncode == 0, trained.stderr
    folders = list((tmp_path / "runs").iterdir())
    assert {path.name for folder in folders for path in (folder / "images").iterdir()} >= {"predictions.npz"}
    before = {path: path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}

    drawn = cli("figures", "tiny", "-o", "out", "--only", "predictions,regions,curves")
    assert drawn.returncode == 0, drawn.stderr
    names = ["curves", "predictions-0", "predictions-2", "regions"]
    assert drawn.stdout.split() == [f"out/{name}.png" for name in names]
    # Everything that is drawn is kept.
    assert "computing" not in drawn.stderr

    shown = cli("compare", "tiny/mtl", "tiny/ours", "-o", "cmp", "--images", "worst:1")
    assert shown.returncode == 0, shown.stderr
    assert "method.name" in shown.stdout
    assert "ours over mtl, paired by image: 4 images, one training each" in shown.stdout
    assert (tmp_path / "cmp" / "changes.png").exists()
    record = json.loads((tmp_path / "cmp" / "comparison.json").read_text())
    (gain,) = [one for one in record["gains_by_image"] if one["metric"] == "mErr"]
    assert gain["images"] == [0, 1, 2, 3]
    kept = {}
    for folder in folders:
        row = json.loads((folder / "origin.json").read_text())["row"]
        # The profile selects the last epoch.
        with np.load(folder / "images" / "scores-1.npz") as arrays:
            kept[row] = arrays["value.mErr"]
    assert gain["gains"] == pytest.approx((kept["mtl"] - kept["ours"]).tolist())

    # As an earlier version left them.
    for folder in folders:
        for path in (folder / "images").iterdir():
            path.unlink()
    again = cli("compare", "tiny/mtl", "tiny/ours", "--json")
    assert "computing the scores of its test images from last.pt" in again.stderr
    (gain_again,) = [one for one in json.loads(again.stdout)["gains_by_image"] if one["metric"] == "mErr"]
    assert gain_again["gains"] == pytest.approx(gain["gains"], rel=1e-6)
    for path, content in before.items():
        assert path.parent.name == "images" or path.read_bytes() == content


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["figures", "tiny"], "tiny: no run under profile small in "),
        (["figures", "0123"], "no run '0123'"),
        (["figures", "tiny", "--images", "3;4"], "write positions of test images as 3,17"),
        (
            ["figures", "tiny", "--only", "curves,dreams"],
            "no figures 'dreams'. Available: predictions, errors",
        ),
        (["figures", "tiny", "--format", "gif"], "no format 'gif'. Available: png, pdf"),
        (["compare", "tiny/nothing", "tiny/mtl"], "no row of tiny 'nothing'"),
        (["compare", "tabel/mtl", "tiny/mtl"], "there is no table 'tabel'"),
    ],
)
def test_what_cannot_be_compared_or_drawn_is_told(arguments: list[str], message: str, inside: Inside) -> None:
    answer = inside(*arguments)
    assert answer.code == 2
    assert message in " ".join(answer.err.split())
    assert "Traceback" not in answer.err
