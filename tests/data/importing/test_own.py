"""A user's own images and labels, imported as a file describes them, and read by their name."""

import importlib.util
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from rdc_sweeps.data.importing.engine import import_source
from rdc_sweeps.data.importing.label_setting import write_label_setting
from rdc_sweeps.data.importing.own import FolderSource, open_folder_source
from rdc_sweeps.data.importing.package import write_package
from rdc_sweeps.data.label_settings import label_mask
from rdc_sweeps.data.roots import open_stored
from rdc_sweeps.errors import DataError, SpecError, UsageError
from rdc_sweeps.specs.dataset import LabelSpec
from rdc_sweeps.specs.extensions import Extension
from rdc_sweeps.synthetic.rooms.scenes import render
from tests.data.importing.own_files import CLASSES, SIZE, description, write_description, write_files


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Four scenes of two images each."""
    write_files(tmp_path / "files")
    return tmp_path / "files"


def opened(files: Path, **changes: Any) -> FolderSource:
    return open_folder_source(write_description(files, description(**changes)))


def package_of(root: Path, source: FolderSource) -> ModuleType:
    """The package that was written, as an installed one is imported."""
    folder = write_package(root, source)
    point = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["entry-points"]["rdc_sweeps.datasets"]
    assert point == {"desks": "desks_data:desks"}
    found = importlib.util.spec_from_file_location("desks_data", folder / "desks_data" / "__init__.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["desks_data"] = module
    found.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def no_package() -> Iterator[None]:
    yield
    sys.modules.pop("desks_data", None)


def test_rendered_rooms_come_back_through_files_of_a_user(files: Path, tmp_path: Path) -> None:
    source = opened(files)
    import_source(source, tmp_path / "out", workers=1)
    extension = package_of(tmp_path / "out", source).desks
    assert isinstance(extension, Extension)
    spec: Any = extension.spec()
    assert spec.classes == tuple(CLASSES)
    assert (spec.tasks, spec.depth_by_zoom, spec.depth_unit) == (("semantic", "depth", "normal"), "divided", "m")
    assert (spec.published, spec.size) == ((6, 2), SIZE)
    train, test = open_stored(spec, tmp_path / "out", tmp_path)
    assert (len(train), len(test)) == (6, 2)
    to_class = np.array(
        [next(place for place, ids in enumerate(CLASSES.values()) if one in np.atleast_1d(ids)) for one in range(13)]
    )
    for split, keys in ((train, source.keys["train"]), (test, source.keys["val"])):
        for index, key in enumerate(keys):
            number = int(key.scene.removeprefix("office")) * 2 + int(key.name)
            wanted, scene = render(0, number, SIZE), split.scene(index, split.tasks)
            assert wanted.semantic is not None
            assert wanted.depth is not None
            assert wanted.normal is not None
            assert scene.depth is not None
            assert scene.normal is not None
            assert scene.semantic is not None
            assert np.abs(scene.image - wanted.image).mean() < 0.03  # JPEG
            np.testing.assert_array_equal(scene.semantic[2:], to_class[wanted.semantic[2:]])
            assert (scene.semantic[:2] == -1).all()
            np.testing.assert_allclose(scene.depth[:-2], wanted.depth[:-2], atol=0.0006)
            assert (scene.depth[-2:] == 0).all()
            np.testing.assert_allclose(scene.normal[:, 2:], wanted.normal[:, 2:], atol=0.01)
            assert (scene.normal[:, :2] == 0).all()


def test_classes_may_be_colours_of_a_palette(files: Path, tmp_path: Path) -> None:
    def colour(one: int) -> str:
        """As `write_files` writes palettes."""
        return f"#{one * 7 % 256:02x}{one * 13 % 256:02x}{255 - one:02x}"

    ids = {name: [one] if isinstance(one, int) else one for name, one in CLASSES.items()}
    classes = {name: [colour(one) for one in group] for name, group in ids.items()}
    coloured = {"files": "labels/{scene}/{name}.png", "classes": classes, "void": [colour(255)]}
    import_source(opened(files), tmp_path / "ids", workers=1)
    import_source(opened(files, semantic=coloured), tmp_path / "colours", workers=1)
    for index in range(6):
        labels = [np.load(tmp_path / root / f"train/label/{index}.npy") for root in ("ids", "colours")]
        np.testing.assert_array_equal(*labels)


def test_a_size_resamples_files_of_other_resolutions(files: Path, tmp_path: Path) -> None:
    for path in files.glob("labels/*/*.png"):
        with Image.open(path) as image:
            image.resize((48, 32), Image.Resampling.NEAREST).save(path)
    with pytest.raises(DataError, match=r"labels/.*32x48 pixels, but its image has 64x96; set size"):
        import_source(opened(files), tmp_path / "out", workers=1)
    source = opened(files, size=[40, 60])
    import_source(source, tmp_path / "small", workers=2)
    assert np.load(tmp_path / "small/train/label/0.npy").shape == (40, 60)
    # Runs need multiples of 32.
    assert package_of(tmp_path / "small", source).desks.spec().size == (32, 64)


def test_two_tasks_with_disparity(files: Path, tmp_path: Path) -> None:
    for path in files.glob("depth/*/*.png"):
        metres = np.asarray(Image.open(path)) / 1000
        disparity = np.where(metres > 0, 1 / np.maximum(metres, 0.1), np.nan).astype(np.float32)
        tifffile.imwrite(path.with_suffix(".tif"), disparity)
        path.unlink()
    depth = {"files": "depth/{scene}/{name}_depth.tif", "unit": "disparity"}
    source = opened(files, depth=depth, normal=None)
    import_source(source, tmp_path / "out", workers=1)
    spec = package_of(tmp_path / "out", source).desks.spec()
    assert (spec.tasks, spec.depth_by_zoom, spec.depth_unit) == (("semantic", "depth"), "multiplied", "disparity")
    scene = open_stored(spec, tmp_path / "out", tmp_path)[0].scene(0, ["depth"])
    first = source.keys["train"][0]
    wanted = render(0, 2 * int(first.scene.removeprefix("office")) + int(first.name), SIZE).depth
    assert wanted is not None
    assert scene.depth is not None
    np.testing.assert_allclose(scene.depth[:-2], 1 / wanted[:-2], rtol=1e-3)


def test_the_order_of_classes_is_part_of_what_is_imported(files: Path, tmp_path: Path) -> None:
    import_source(opened(files), tmp_path / "out", workers=1)
    turned = {**description()["semantic"], "classes": dict(reversed(CLASSES.items()))}
    with pytest.raises(UsageError, match=r"something else was imported here .*classes was"):
        import_source(opened(files, semantic=turned), tmp_path / "out", workers=1)


def test_an_image_whose_file_was_repaired_is_imported_again(files: Path, tmp_path: Path) -> None:
    damaged = files / "depth/office1/01_depth.png"
    content = damaged.read_bytes()
    damaged.write_bytes(content[:100])
    with pytest.raises(DataError, match=r"office1/01_depth\.png: damaged"):
        import_source(opened(files), tmp_path / "out", workers=1)
    damaged.write_bytes(content)
    report = import_source(opened(files), tmp_path / "out", workers=1)
    assert (report.kept, report.written) == (3, 5)
    shutil.copy(files / "depth/office0/00_depth.png", files / "depth/office0/01_depth.png")
    report = import_source(opened(files), tmp_path / "out", workers=1)
    assert (report.kept, report.written) == (7, 1)
    maps = [np.load(tmp_path / f"out/train/depth/{index}.npy") for index in range(2)]
    np.testing.assert_array_equal(*maps)


def test_the_root_of_the_files_may_be_elsewhere(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings").mkdir()
    path = write_description(tmp_path / "settings", description(root="../files"))
    assert open_folder_source(path).counts == {"train": 6, "val": 2}
    path = write_description(tmp_path / "settings", description(root=str(files)))
    source = open_folder_source(path)
    assert source.description == opened(files).description
    assert source.unused == 0
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_folder_source(write_description(tmp_path / "settings", description(root="~/files"))).root == files


def test_a_description_is_found_in_the_folder_of_the_data(files: Path) -> None:
    expected = opened(files).description
    with pytest.raises(SpecError, match=r"import\.yaml"):
        open_folder_source(files)
    write_description(files, description()).rename(files / "import.yaml")
    assert open_folder_source(files).description == expected


def test_labels_as_jpeg_are_refused(files: Path, tmp_path: Path) -> None:
    for path in files.glob("labels/*/*.png"):
        Image.open(path).convert("L").save(path.with_suffix(".jpg"))
    semantic = {**description()["semantic"], "files": "labels/{scene}/{name}.jpg"}
    with pytest.raises(DataError, match="JPEG changes class ids"):
        import_source(opened(files, semantic=semantic), tmp_path / "out", workers=1)


def test_images_of_no_list_are_counted(files: Path) -> None:
    (files / "train.txt").write_text("office0/00\noffice2/01\n")
    (files / "test.txt").write_text("office1/00\n")
    source = opened(files, split={"name": "lists", "train": "train.txt", "test": "test.txt"})
    assert (source.counts, source.unused) == ({"train": 2, "val": 1}, 5)


def test_a_missing_label_is_an_error(files: Path) -> None:
    (files / "normals/office1/01.png").unlink()
    with pytest.raises(DataError, match=r"normals/office1/01\.png: no such file"):
        opened(files)


def has_labels(files: Path, *lacking: str) -> FolderSource:
    """With some labels removed, all of them optional."""
    for name in lacking:
        (files / name).unlink()
    fields = description()
    return opened(files, **{task: {**fields[task], "optional": True} for task in ("semantic", "depth", "normal")})


def test_a_label_that_is_missing_is_unknown(files: Path, tmp_path: Path) -> None:
    lacking = ("labels/office0/00.png", "depth/office0/01_depth.png", "normals/office0/01.png")
    source = has_labels(files, *lacking)
    import_source(source, tmp_path / "out", workers=1)
    train, _ = open_stored(package_of(tmp_path / "out", source).desks.spec(), tmp_path / "out", tmp_path)
    assert [str(key) for key in source.keys["train"][:2]] == ["office0/00", "office0/01"]
    first, second = (train.scene(index, train.tasks) for index in range(2))
    known = [
        tuple(bool(np.any(label != none)) for label, none in ((one.semantic, -1), (one.depth, 0), (one.normal, 0)))
        for one in (first, second)
    ]
    assert known == [(False, True, True), (True, False, False)]
    (files / "photos/office1/00.jpg").unlink()
    with pytest.raises(DataError, match=r"photos/office1/00\.jpg: no such file"):
        has_labels(files)


def setting_of(files: Path, root: Path, *lacking: str) -> tuple[str, str | None, list[list[bool]] | None]:
    """Name of the label setting, what hinders it, and what runs read of it."""
    source = has_labels(files, *lacking)
    name, problem = write_label_setting(root, source)
    if problem:
        assert not root.exists()
        return name, problem, None
    (root / "train/image").mkdir(parents=True)
    np.save(root / "train/image/0.npy", np.zeros((*SIZE, 3)))
    spec = package_of(root, source).desks.spec()
    labels = LabelSpec.model_validate({"setting": name, "origin": "published"})
    return name, None, label_mask(labels, spec, source.counts["train"], root=root / "label_settings").tolist()


def test_a_label_setting_says_which_labels_there_are(files: Path, tmp_path: Path) -> None:
    training = ("office0/00", "office0/01", "office1/00", "office1/01", "office3/00", "office3/01")
    lacking = [f"labels/{name}.png" for name in training[:3]] + [f"depth/{name}_depth.png" for name in training[3:]]
    assert setting_of(files, tmp_path / "out", *lacking, f"depth/{training[0]}_depth.png") == (
        "randomlabels", None, [[False, False, True], *[[False, True, True]] * 2, *[[True, False, True]] * 3],
    )  # fmt: skip
    normals = [f"normals/{name}.png" for name in training[1:]]
    assert setting_of(files, tmp_path / "one", *normals) == (
        "onelabel", None, [[False, False, True], *[[False, True, False]] * 2, *[[True, False, False]] * 3],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("lacking", "told"),
    [
        (("labels/office0/00.png",), "5 of 6 images have not 1 to 2 labels as 'randomlabels' means"),
        (("labels/office0/00.png", "depth/office0/00_depth.png", "normals/office0/00.png"), r"\(image 0 has 0\)"),
    ],
)
def test_other_labels_fit_no_label_setting(files: Path, tmp_path: Path, lacking: tuple[str, ...], told: str) -> None:
    _, problem, _ = setting_of(files, tmp_path / "out", *lacking)
    assert problem is not None
    assert re.search(told, problem)


def test_columns_need_the_other_command(files: Path) -> None:
    columns = {name: {**description()[name]} for name in ("image", "semantic", "depth", "normal")}
    for name, fields in columns.items():
        fields["column"] = name
        del fields["files"]
    with pytest.raises(SpecError, match="rdc-sweep data import huggingface"):
        opened(files, **columns)
