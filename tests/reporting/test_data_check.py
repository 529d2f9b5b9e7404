import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from rdc_sweeps.data.checking.check import check_root
from rdc_sweeps.data.checking.findings import Check, DataCheck, Finding, combine
from rdc_sweeps.data.provenance import SplitRecord
from rdc_sweeps.errors import UsageError
from rdc_sweeps.reporting.data_check import as_json, render_terminal, write_folder
from rdc_sweeps.reporting.figures.data_sheet import draw_sheet
from rdc_sweeps.reporting.json_schemas import output_schema
from rdc_sweeps.texts import TextConsole
from tests.reporting.golden import check_golden

CHECK = DataCheck(
    "/data/nyuv2",
    "nyuv2",
    {"image": "image", "depth": "depth"},
    (48, 64),
    (
        Check("counts", "warning", "790 training and 654 test images", "795 and 654, as published", "restore them"),
        combine("arrays", "whole files", {"train": Finding("ok", "3160 files read"), "val": Finding("ok", "2616")}),
        combine(
            "depth",
            "metres, 0 where there is none",
            {
                "train": Finding("error", "mean depth 2700", "divide by 1000", ("train/depth/0.npy",)),
                "val": Finding("ok", "float32"),
            },
        ),
        Check("class shares", "skipped", "none are published", "nothing"),
        Check("left and right", "ok", "at least 98.9% (labels and depth)", "more than 50% of the scenes"),
    ),
    {"train": SplitRecord(images=790, digest="9b125d93385a7117bda26c090793c5d0", means={"depth": 2700.0})},
)


@pytest.mark.parametrize("width", [60, 100])
def test_a_terminal_shows_all_checks(width: int) -> None:
    console = TextConsole(width=width)
    with console.capture() as captured:
        console.print(render_terminal(CHECK))
    lines = captured.get().splitlines()
    check_golden(f"data-check.{width}.txt", "".join(f"{line.rstrip()}\n" for line in lines))


def test_only_the_worst_of_the_splits_is_told() -> None:
    depth = CHECK.checks[2]
    assert (depth.level, depth.found, depth.places) == ("error", "train: mean depth 2700", ("train/depth/0.npy",))
    equal = combine("names", "complete", {"train": Finding("ok", "complete"), "val": Finding("ok", "complete")})
    assert equal.found == "complete"


def test_json_is_as_its_schema_says() -> None:
    validator = jsonschema.Draft202012Validator(output_schema("data-check"))
    data = json.loads(json.dumps(as_json(CHECK)))
    validator.validate(data)
    assert data["version"] == 1
    assert data["fingerprints"]["train"]["images"] == 790
    data["checks"][0]["level"] = "fine"
    assert not validator.is_valid(data)


def write(root: Path, folder: str, index: int, values: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]") -> None:
    path = root / folder / f"{index}.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Six scenes with values as they should not be: huge labels, NaN and infinite depth, normals of any length."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for index in range(3):
            folder = tmp_path / "root" / split
            write(folder, "image", index, rng.random((12, 16, 3)).astype(np.float32))
            write(folder, "label", index, rng.choice([-5, 3, 1e9, np.nan], (12, 16)).astype(np.float32))
            write(folder, "depth", index, rng.choice([-1, 0, 2000, np.nan, np.inf], (12, 16)).astype(np.float32))
            write(folder, "normal", index, (9 * rng.normal(size=(12, 16, 3))).astype(np.float32))
    (tmp_path / "root" / "val" / "image" / "1.npy").write_bytes(b"no array")
    return tmp_path / "root"


def test_the_folder_has_a_page_a_sheet_and_a_record(root: Path, tmp_path: Path) -> None:
    check = check_root(root, workers=1)
    written = write_folder(check, tmp_path / "out")
    assert [path.name for path in written] == ["check.json", "check.png", "check.html"]
    assert json.loads(written[0].read_text()) == as_json(check)
    assert written[1].read_bytes().startswith(b"\x89PNG")
    page = written[2].read_text()
    assert "val/image/1.npy: truncated, or not an array in .npy format" in page
    assert "data:image/png;base64," in page
    with pytest.raises(UsageError, match="cannot be created"):
        write_folder(check, written[0])


def test_the_sheet_begins_with_scenes_that_checks_name(root: Path) -> None:
    check = check_root(root, workers=1)
    cells = draw_sheet(check).axes
    names = [axes.get_ylabel() for axes in cells if axes.get_ylabel()]
    assert names[0] == "val 1"
    assert sorted(names) == [f"{split} {index}" for split in ("train", "val") for index in range(3)]
    assert [axes.get_title() for axes in cells[:5]] == ["image", "semantic", "depth", "normal", "semantic on image"]
