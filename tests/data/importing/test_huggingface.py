"""A user's own data in a Hugging Face data set on disk."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rdc_sweeps.data.importing.engine import import_source
from rdc_sweeps.data.importing.huggingface import HuggingFaceSource, open_huggingface_source
from rdc_sweeps.errors import DataError, SpecError
from tests.data.importing.own_files import write_description

datasets = pytest.importorskip("datasets")

RNG = np.random.default_rng(0)
IDS = RNG.integers(0, 3, (5, 6, 8), dtype=np.uint8)
DEPTH = RNG.integers(500, 4000, (5, 6, 8), dtype=np.uint16)
PHOTOS = RNG.integers(0, 256, (5, 6, 8, 3), dtype=np.uint8)


def encoded(values: np.ndarray[Any, Any]) -> dict[str, Any]:
    content = io.BytesIO()
    Image.fromarray(values).save(content, format="PNG")
    return {"bytes": content.getvalue(), "path": None}


def rows(first: int, end: int) -> Any:
    features = datasets.Features(
        photo=datasets.Image(),
        mask=datasets.Image(),
        depth=datasets.Array2D((6, 8), "uint16"),
        normal=datasets.List(datasets.List(datasets.List(datasets.Value("uint8")))),
        title=datasets.Value("string"),
    )
    columns: dict[str, list[Any]] = {
        "photo": [encoded(one) for one in PHOTOS[first:end]],
        "mask": [encoded(one) for one in IDS[first:end]],
        "depth": list(DEPTH[first:end]),
        "normal": [np.full((6, 8, 3), (128, 128, 0), np.uint8).tolist() for _ in range(first, end)],
        "title": ["a"] * (end - first),
    }
    columns["normal"][0] = None
    return datasets.Dataset.from_dict(columns, features=features)


def fields(**changes: Any) -> dict[str, Any]:
    return {
        "name": "desks",
        "root": "saved",
        "image": {"column": "photo"},
        "semantic": {"column": "mask", "classes": {"a": 1, "b": 2}, "void": [0]},
        "depth": {"column": "depth", "scale": 0.001},
        "normal": {"column": "normal", "encoding": "colours", "optional": True},
        "split": {"name": "folders", "test": ["test"]},
        **changes,
    }


def opened(folder: Path, **changes: Any) -> HuggingFaceSource:
    return open_huggingface_source(write_description(folder, fields(**changes)))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder with a data set of three training and two test images."""
    datasets.disable_progress_bars()
    datasets.DatasetDict(train=rows(0, 3), test=rows(3, 5)).save_to_disk(str(tmp_path / "saved"))
    return tmp_path


def test_columns_are_images_and_labels(saved: Path, tmp_path: Path) -> None:
    source = opened(saved)
    assert (source.counts, source.unused) == ({"train": 3, "val": 2}, 0)
    import_source(source, tmp_path / "out", workers=2)
    for split, first, count in (("train", 0, 3), ("val", 3, 2)):
        for index in range(count):
            found = {path.name: np.load(path / f"{index}.npy") for path in (tmp_path / "out" / split).iterdir()}
            np.testing.assert_array_equal(found["image"], PHOTOS[first + index])
            np.testing.assert_array_equal(found["label"], IDS[first + index].astype(int) - 1)
            np.testing.assert_allclose(found["depth"], DEPTH[first + index] / 1000, rtol=1e-6)
            normal = np.round(found["normal"], 1)
            assert (normal == ((0, 0, 0) if index == 0 else (0, 0, -1))).all()
    assert source.labelled("train", 0) == {"semantic", "depth"}
    assert source.labelled("train", 1) == {"semantic", "depth", "normal"}


def test_a_data_set_without_splits_is_divided(tmp_path: Path) -> None:
    rows(0, 5).save_to_disk(str(tmp_path / "saved"))
    source = opened(tmp_path, split={"name": "fraction", "test": 0.4})
    assert source.counts == {"train": 3, "val": 2}
    assert sorted(str(key) for keys in source.keys.values() for key in keys) == ["0", "1", "2", "3", "4"]


def test_a_data_set_may_have_its_description_in_it(saved: Path) -> None:
    write_description(saved, fields(root=".")).rename(saved / "saved/import.yaml")
    assert open_huggingface_source(saved / "saved").counts == opened(saved).counts


def test_other_values_are_another_source(saved: Path) -> None:
    before = opened(saved).description
    assert opened(saved).description == before
    datasets.DatasetDict(train=rows(1, 4), test=rows(3, 5)).save_to_disk(str(saved / "other"))
    assert opened(saved, root="other").description != before


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"image": {"column": "image"}}, r"has no column 'image' for image; it has photo, mask, depth"),
        ({"normal": {"column": "normal", "encoding": "colours"}}, "train/0, column normal: has no value"),
        ({"depth": {"column": "title"}}, "column title: .*expected images or arrays of numbers"),
        ({"root": "nowhere"}, "nowhere: no such folder"),
        ({"root": "."}, "cannot be read as a data set that `datasets` has saved"),
    ],
)
def test_what_does_not_fit_is_refused(saved: Path, tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(DataError, match=told):
        import_source(opened(saved, **changes), tmp_path / "out", workers=1)


def test_files_need_the_other_command(saved: Path) -> None:
    files = {"image": {"files": "{name}.jpg"}, "depth": {"files": "{name}.png"}, "normal": None}
    semantic = {"files": "{name}.png", "classes": {"a": 1, "b": 2}}
    with pytest.raises(SpecError, match="rdc-sweep data import folder"):
        opened(saved, **files, semantic=semantic, split={"name": "fraction"})
