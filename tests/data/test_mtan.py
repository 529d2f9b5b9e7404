import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rdc_sweeps.data.mtan import NYUV2_LAYOUT, MtanFolder, MtanLayout, open_mtan
from rdc_sweeps.data.scene import Scene
from rdc_sweeps.errors import DataError
from tests.aging import age
from tests.data.damage import mutations

WriteMtan = Callable[..., Path]


def opened(root: Path, size: tuple[int, int] = (32, 64), split: str = "train") -> MtanFolder:
    return open_mtan(root / split, NYUV2_LAYOUT, size, "SETTING")


def arrays_of(scene: Scene) -> list[np.ndarray[Any, Any]]:
    found = (scene.image, scene.semantic, scene.depth, scene.normal)
    assert all(array is not None for array in found)
    return list(found)  # type: ignore[arg-type]


def rewrite(path: Path, change: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]) -> None:
    np.save(path, change(np.load(path)))


def test_a_scene_is_what_was_written(write_mtan: WriteMtan) -> None:
    root = write_mtan()
    dataset = opened(root)
    assert len(dataset) == 6
    scene = dataset.scene(4, dataset.tasks)
    train = root / "train"
    assert scene.semantic is not None
    assert scene.depth is not None
    assert scene.normal is not None
    np.testing.assert_array_equal(scene.image, np.load(train / "image/4.npy"))
    np.testing.assert_array_equal(scene.semantic, np.load(train / "label/4.npy"))
    np.testing.assert_array_equal(scene.depth, np.load(train / "depth/4.npy")[..., 0])
    np.testing.assert_allclose(scene.normal, np.load(train / "normal/4.npy"), atol=1e-6)
    arrays = (scene.image, scene.semantic, scene.depth, scene.normal)
    assert [str(array.dtype) for array in arrays] == ["float32", "int16", "float32", "float32"]
    assert not scene.normal[0, 0].any()
    np.testing.assert_array_equal(dataset.image(4), scene.image)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float64", ">f4"])
def test_images_of_any_type_are_read_as_fractions(write_mtan: WriteMtan, dtype: str) -> None:
    root = write_mtan()
    top = {"uint8": 255, "uint16": 65535}.get(dtype, 1)
    before = opened(root).image(0)
    rewrite(root / "train/image/0.npy", lambda image: (image * top).round(0 if top > 1 else 6).astype(dtype))
    np.testing.assert_allclose(opened(root).image(0), before, atol=1 / 250)
    assert opened(root).image(0).dtype == np.float32


@pytest.mark.parametrize("dtype", ["int8", "int64", "float32", "float64", ">i2"])
def test_labels_of_any_type_are_read(write_mtan: WriteMtan, dtype: str) -> None:
    root = write_mtan()
    before = opened(root).scene(0, ["semantic"]).semantic
    rewrite(root / "train/label/0.npy", lambda label: label.astype(dtype)[..., None])
    np.testing.assert_array_equal(opened(root).scene(0, ["semantic"]).semantic, before)


def test_depth_may_lack_its_channel_axis(write_mtan: WriteMtan) -> None:
    root = write_mtan()
    before = opened(root).scene(0, ["depth"]).depth
    rewrite(root / "train/depth/0.npy", lambda depth: depth[..., 0].astype(np.float64))
    np.testing.assert_array_equal(opened(root).scene(0, ["depth"]).depth, before)


def test_normals_get_unit_length(write_mtan: WriteMtan) -> None:
    root = write_mtan()
    before = opened(root).scene(0, ["normal"]).normal
    rewrite(root / "train/normal/0.npy", lambda normal: 0.9 * normal)
    after = opened(root).scene(0, ["normal"]).normal
    assert before is not None
    assert after is not None
    np.testing.assert_allclose(after, before, atol=1e-6)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(height=st.integers(1, 90), width=st.integers(1, 90))
def test_any_resolution_is_read_at_the_size_asked_for(tmp_path: Path, height: int, width: int) -> None:
    rng = np.random.default_rng(height * 100 + width)
    split = tmp_path / "train"
    label = rng.integers(-1, 13, (height, width))
    content = {
        "image": np.full((height, width, 3), (0.2, 0.5, 0.8)),
        "label": label,
        "depth": label + 1.0,
        "normal": np.broadcast_to([0.0, 0.6, -0.8], (height, width, 3)),
    }
    for folder, array in content.items():
        (split / folder).mkdir(parents=True, exist_ok=True)
        np.save(split / folder / "0.npy", array)
    scene = opened(tmp_path).scene(0, ["semantic", "depth", "normal"])
    assert scene.semantic is not None
    assert scene.depth is not None
    assert scene.normal is not None
    assert scene.image.shape == (32, 64, 3)
    np.testing.assert_allclose(scene.image, np.broadcast_to([0.2, 0.5, 0.8], (32, 64, 3)), atol=1e-6)
    np.testing.assert_array_equal(scene.depth, scene.semantic + 1.0)
    assert set(np.unique(scene.semantic)) <= set(np.unique(label))
    np.testing.assert_allclose(np.linalg.norm(scene.normal, axis=-1), 1, atol=1e-6)


def test_reduced_labels_stay_over_their_part_of_the_image(write_mtan: WriteMtan) -> None:
    root = write_mtan(size=(64, 128))
    left = np.zeros((64, 128), dtype=np.int16)
    left[:, 64:] = 5
    for index in range(6):
        np.save(root / f"train/label/{index}.npy", left)
        np.save(root / f"train/image/{index}.npy", np.repeat((0.1 + left / 6.25)[..., None], 3, axis=2))
    scene = opened(root).scene(0, ["semantic"])
    assert scene.semantic is not None
    np.testing.assert_array_equal(scene.semantic[:, 32:], 5)
    np.testing.assert_array_equal(scene.semantic[:, :32], 0)
    np.testing.assert_allclose(scene.image[:, [0, 31, 32, 63], 0].mean(axis=0), [0.1, 0.1, 0.9, 0.9], atol=0.15)


def test_withheld_labels_are_not_opened(write_mtan: WriteMtan) -> None:
    root = write_mtan()
    dataset = opened(root)
    (root / "train/label/3.npy").write_bytes(b"garbage")
    (root / "train/normal/3.npy").unlink()
    scene = dataset.scene(3, ["depth"])
    assert scene.semantic is None
    assert scene.normal is None
    assert scene.depth is not None


def test_a_missing_split_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train: no such folder; SETTING must name the folder"):
        opened(tmp_path)


def test_all_missing_folders_are_named(write_mtan: WriteMtan) -> None:
    root = write_mtan()
    for folder in ("depth", "normal"):
        (root / "train" / folder).rename(root / folder)
    with pytest.raises(DataError) as error:
        opened(root)
    assert f"{root / 'train/depth'}: no such folder" in str(error.value)
    assert f"{root / 'train/normal'}: no such folder" in str(error.value)


def test_an_empty_split_is_an_error(write_mtan: WriteMtan) -> None:
    with pytest.raises(DataError, match=r"train: contains no files 0\.npy"):
        opened(write_mtan(train=0))


def test_a_missing_file_of_one_folder_is_named(write_mtan: WriteMtan) -> None:
    root = write_mtan()
    (root / "train/depth/2.npy").unlink()
    with pytest.raises(DataError, match=r"depth: must contain 0\.npy to 5\.npy .*, found 5 files; add 2\.npy$"):
        opened(root)


def test_a_file_of_another_name_is_named(write_mtan: WriteMtan) -> None:
    root = write_mtan()
    (root / "train/label/5.npy").rename(root / "train/label/five.npy")
    with pytest.raises(DataError, match=r"label: .* add 5\.npy and remove or rename five\.npy"):
        opened(root)


def test_a_stray_file_is_only_wrong_where_it_is(write_mtan: WriteMtan) -> None:
    root = write_mtan()
    (root / "train/image/0 (copy).npy").write_bytes(b"")
    with pytest.raises(DataError, match=r"^\S*image: .* remove or rename 0 \(copy\)\.npy$"):
        opened(root)


def test_a_gap_in_all_folders_is_an_error(write_mtan: WriteMtan) -> None:
    root = write_mtan()
    for folder in NYUV2_LAYOUT.folders:
        (root / "train" / folder / "2.npy").unlink()
    with pytest.raises(
        DataError, match=r"image: must contain 0\.npy to 4\.npy .* add 2\.npy and remove or rename 5\.npy"
    ):
        opened(root)


def test_hidden_files_do_not_count(write_mtan: WriteMtan) -> None:
    root = write_mtan()
    (root / "train/label/._0.npy").write_bytes(b"")
    (root / "train/label/.DS_Store").write_bytes(b"")
    assert len(opened(root)) == 6


@pytest.mark.parametrize("name", ["image", "label", "depth", "normal"])
def test_truncated_first_and_last_files_are_found_on_opening(write_mtan: WriteMtan, name: str) -> None:
    root = write_mtan()
    path = root / "train" / name / "5.npy"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=rf"{name}/5\.npy: truncated.*write this file again"):
        opened(root)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"PK\x03\x04 an archive", b"\x93NUMPY\x01\x00v\x00{'descr': "])
def test_what_is_no_array_is_named(write_mtan: WriteMtan, content: bytes) -> None:
    root = write_mtan()
    dataset = opened(root)
    (root / "train/depth/2.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"depth/2\.npy: truncated, or not an array"):
        dataset.scene(2, ["depth"])


@pytest.mark.parametrize("count", [12, pytest.param(200, marks=pytest.mark.slow)])
def test_a_mutated_file_is_read_or_an_error_of_ours(write_mtan: WriteMtan, count: int) -> None:
    root = write_mtan(train=1, val=0, size=(8, 8))
    dataset = opened(root)
    for name in NYUV2_LAYOUT.folders:
        path = root / "train" / name / "0.npy"
        sound = path.read_bytes()
        for mutated in mutations(sound, count):
            path.write_bytes(mutated)
            for read in (lambda: dataset.scene(0, dataset.tasks), dataset.fingerprint):
                with contextlib.suppress(DataError):
                    read()
        path.write_bytes(sound)


def test_pickled_objects_are_refused(write_mtan: WriteMtan) -> None:
    root = write_mtan()
    dataset = opened(root)
    np.save(root / "train/depth/2.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"depth/2\.npy"):
        dataset.scene(2, ["depth"])


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("image", (3, 32, 64)),
        ("image", (32, 64)),
        ("label", (2, 32, 64)),
        ("depth", (32, 64, 3)),
        ("normal", (3, 32, 64)),
    ],
)
def test_a_wrong_shape_is_named(write_mtan: WriteMtan, name: str, shape: tuple[int, ...]) -> None:
    root = write_mtan()
    dataset = opened(root)
    np.save(root / "train" / name / "2.npy", np.zeros(shape, dtype=np.float32))
    with pytest.raises(DataError, match=rf"{name}/2\.npy.*(expected|has) \(.*; write"):
        dataset.scene(2, dataset.tasks)


def test_labels_of_another_resolution_are_an_error(write_mtan: WriteMtan) -> None:
    root = write_mtan()
    dataset = opened(root)
    np.save(root / "train/label/2.npy", np.zeros((16, 32), dtype=np.int16))
    with pytest.raises(DataError, match=r"label/2\.npy: shape \(16, 32\), but .*image/2\.npy has \(32, 64, 3\)"):
        dataset.scene(2, ["semantic"])


@pytest.mark.parametrize("bad", [13, 255, -2, 70000, 2.5, np.nan, np.inf])
def test_labels_out_of_range_are_counted(write_mtan: WriteMtan, bad: float) -> None:
    root = write_mtan()
    dataset = opened(root)

    def spoil(label: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        label = label.astype(np.float64)
        label[3, 4:6] = bad
        return label

    rewrite(root / "train/label/2.npy", spoil)
    with pytest.raises(DataError, match=r"label/2\.npy: 2 pixels with an invalid label .*0 to 12, and -1 for void"):
        dataset.scene(2, ["semantic"])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_depth_that_is_no_number_is_an_error(write_mtan: WriteMtan, bad: float) -> None:
    root = write_mtan()
    dataset = opened(root)

    def spoil(depth: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        depth[3, 4] = bad
        return depth

    rewrite(root / "train/depth/2.npy", spoil)
    with pytest.raises(
        DataError, match=r"depth/2\.npy: 1 pixel with a depth of NaN.*write 0 where there is no measurement"
    ):
        dataset.scene(2, ["depth"])


def test_normals_and_images_out_of_range_are_an_error(write_mtan: WriteMtan) -> None:
    root = write_mtan()
    dataset = opened(root)
    rewrite(root / "train/normal/2.npy", lambda normal: normal * np.nan)
    rewrite(root / "train/image/3.npy", lambda image: image * 255)
    with pytest.raises(DataError, match=r"normal/2\.npy: 2048 pixels with a normal"):
        dataset.scene(2, ["normal"])
    with pytest.raises(DataError, match=r"image/3\.npy: image values from .*write uint8, or floats in \[0, 1\]"):
        dataset.image(3)


@pytest.mark.parametrize("name", ["image", "label", "depth", "normal"])
@pytest.mark.parametrize("quietly", [False, True])
def test_a_file_that_becomes_bad_between_reads_is_found(write_mtan: WriteMtan, name: str, quietly: bool) -> None:
    root = write_mtan()
    age(root)
    dataset, path = opened(root), root / "train" / name / "2.npy"
    for _ in range(3):
        dataset.scene(2, dataset.tasks)
    before = path.stat()
    rewrite(path, lambda array: np.full_like(array, 77))
    if quietly:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    for _ in range(2):
        with pytest.raises(DataError, match=rf"{name}/2\.npy: "):
            dataset.scene(2, dataset.tasks)
        age(root)


def test_a_scene_is_the_same_at_each_read_whatever_is_done_to_it(write_mtan: WriteMtan) -> None:
    root = write_mtan()
    age(root)
    dataset = opened(root)
    expected = opened(root).scene(1, dataset.tasks)
    held = []
    for _ in range(40):
        scene = dataset.scene(1, dataset.tasks)
        for array, right in zip(arrays_of(scene), arrays_of(expected), strict=True):
            np.testing.assert_array_equal(array, right)
        held.append(scene)
        if len(held) % 3 == 0:
            for array in arrays_of(held.pop(0)):
                array[:] = 5
    for scene in held:
        for array, right in zip(arrays_of(scene), arrays_of(expected), strict=True):
            np.testing.assert_array_equal(array, right)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_files_in_any_form_are_read(write_mtan: WriteMtan, version: tuple[int, int], order: Literal["C", "F"]) -> None:
    root = write_mtan()
    before = opened(root).scene(0, opened(root).tasks)
    for folder in NYUV2_LAYOUT.folders:
        path = root / "train" / folder / "0.npy"
        array = np.asarray(np.load(path), order=order)
        with path.open("wb") as file:
            np.lib.format.write_array(file, array, version=version)
    after = opened(root).scene(0, opened(root).tasks)
    for array, right in zip(arrays_of(after), arrays_of(before), strict=True):
        assert array.tobytes() == right.tobytes()


def test_a_layout_may_have_other_folders_and_tasks(write_mtan: WriteMtan) -> None:
    root = write_mtan()
    (root / "train/label").rename(root / "train/label_7")
    layout = MtanLayout(("a",) * 13, {"semantic": "label_7", "depth": "depth"})
    dataset = open_mtan(root / "train", layout, (32, 64), "SETTING")
    assert dataset.tasks == ("semantic", "depth")
    assert dataset.scene(0, dataset.tasks).normal is None


def test_indices_out_of_range_are_refused(write_mtan: WriteMtan) -> None:
    with pytest.raises(IndexError):
        opened(write_mtan()).image(6)


def test_real_nyuv2_is_sound(shared: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(shared / "tools/nyuv2_npy.py"), str(tmp_path), "--train", "8", "--val", "4"]
    subprocess.run([*command, "--size", "288", "384"], check=True)
    for split, count in (("train", 8), ("val", 4)):
        dataset = opened(tmp_path, (288, 384), split)
        assert len(dataset) == count
        for index in range(count):
            dataset.scene(index, dataset.tasks)  # raises if its files are damaged
    scene = opened(tmp_path, (96, 128)).scene(3, ["semantic", "depth", "normal"])
    assert scene.depth is not None
    assert scene.normal is not None
    assert 0.5 < scene.depth.mean() < 8
    # Whatever is seen faces the camera.
    assert (scene.normal[..., 2] <= 0.2).mean() > 0.98
