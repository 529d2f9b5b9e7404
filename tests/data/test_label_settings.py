import contextlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rdc_sweeps.data.label_settings import label_mask, setting_digest
from rdc_sweeps.errors import DataError
from rdc_sweeps.specs.dataset import LabelSpec, NyuV2Spec, RoomsSpec
from tests.data.damage import mutations

ONE = LabelSpec(setting="onelabel", origin="published")


def published(tmp_path: Path, content: Any, name: str = "onelabel") -> Path:
    folder = tmp_path / "nyuv2_settings"
    folder.mkdir()
    torch.save(content, folder / f"{name}.pth")
    return tmp_path


def test_full_grants_everything_without_a_file() -> None:
    mask = label_mask(LabelSpec(origin="published"), NyuV2Spec(), 5, root=None)
    assert mask.shape == (5, 3)
    assert mask.all()


@settings(max_examples=50, deadline=None)
@given(images=st.integers(1, 400), seed=st.integers(0, 2**40))
def test_one_label_is_balanced(images: int, seed: int) -> None:
    mask = label_mask(LabelSpec(setting="onelabel", seed=seed), RoomsSpec(), images, root=None)
    assert mask.shape == (images, 3)
    assert mask.dtype == np.bool_
    assert (mask.sum(axis=1) == 1).all()
    counts = mask.sum(axis=0)
    assert counts.max() - counts.min() <= 1


@settings(max_examples=50, deadline=None)
@given(images=st.integers(1, 400), seed=st.integers(0, 2**40))
def test_random_labels_are_one_or_two(images: int, seed: int) -> None:
    mask = label_mask(LabelSpec(setting="randomlabels", seed=seed), RoomsSpec(), images, root=None)
    assert set(np.unique(mask.sum(axis=1))) <= {1, 2}


def test_random_labels_are_uniform() -> None:
    mask = label_mask(LabelSpec(setting="randomlabels"), RoomsSpec(), 30000, root=None)
    choices, counts = np.unique(mask, axis=0, return_counts=True)
    assert len(choices) == 6
    np.testing.assert_allclose(counts, 5000, atol=300)


def test_generated_settings_depend_on_the_seed_alone() -> None:
    first, again, other = (
        label_mask(LabelSpec(setting="onelabel", seed=seed), RoomsSpec(), 60, root=None) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    # The order is random: tasks do not simply take turns.
    assert (first[:-3] != first[3:]).any()


def test_published_files_are_read(shared: Path) -> None:
    root = shared / "data/label_settings"
    one = label_mask(ONE, NyuV2Spec(), 795, root=root)
    assert one.sum(axis=0).tolist() == [265, 265, 265]
    assert (one.sum(axis=1) == 1).all()
    two = label_mask(LabelSpec(setting="randomlabels", origin="published"), NyuV2Spec(), 795, root=root)
    assert two.sum(axis=0).tolist() == [392, 408, 385]
    assert np.bincount(two.sum(axis=1)).tolist() == [0, 405, 390]


def test_without_a_root_the_setting_is_named() -> None:
    with pytest.raises(DataError, match=r"RDC_SWEEP_LABEL_SETTINGS_ROOT \(label_settings_root in rdc-sweep.toml\)"):
        label_mask(ONE, NyuV2Spec(), 795, root=None)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nyuv2_settings/onelabel\.pth: no such file; .*LABEL_SETTINGS_ROOT"):
        label_mask(ONE, NyuV2Spec(), 795, root=tmp_path)


def test_rooms_have_no_published_settings(shared: Path) -> None:
    with pytest.raises(DataError, match=r"rooms_settings/onelabel\.pth: no such file; .*labels.origin to generated"):
        label_mask(ONE, RoomsSpec(), 200, root=shared / "data/label_settings")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"labels_weights": torch.ones(8, 2)}, r"shape \(8, 2\), expected .* 3 columns \(semantic, depth, normal\)"),
        ({"labels_weights": torch.ones(8)}, r"shape \(8,\)"),
        ({"labels_weights": torch.ones(9, 3)}, "is for 9 images, but the training split has 8"),
        ({"labels_weights": torch.full((8, 3), 0.5)}, "values other than 0 and 1"),
        ({"labels_weights": torch.zeros(8, 3)}, r"8 of 8 images have not 1 label .*\(image 0 has 0\)"),
        ({"labels_weights": torch.ones(8, 3)}, r"8 of 8 images have not 1 label .*\(image 0 has 3\)"),
        ({"labels_weights": torch.eye(3)[[0, 1, 2, 0, 1, 0, 1, 0]] + torch.eye(8, 3)}, "values other than 0 and 1"),
        ({"labels_weights": torch.eye(3)[[0, 1, 0, 0, 1, 0, 1, 0]]}, "no image has a label for normal"),
        ({"labels_weights": torch.eye(8, 3, dtype=torch.bfloat16)}, "is no ordinary tensor"),
        ({"other": torch.ones(8, 3)}, "has no tensor 'labels_weights'"),
        ([1, 2], "has no tensor"),
    ],
)
def test_a_file_of_another_kind_is_an_error(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(DataError, match=r"onelabel\.pth: .*" + message):
        label_mask(ONE, NyuV2Spec(), 8, root=published(tmp_path, content))


ONES = torch.eye(3)[torch.arange(8) % 3]
TWOS = 1 - ONES
MIXED = torch.cat([ONES[:4], TWOS[4:]])


@pytest.mark.parametrize("mask", [ONES, TWOS, torch.cat([MIXED[:7], torch.zeros(1, 3)]), torch.ones(8, 3)])
def test_files_that_do_not_mean_random_labels_are_an_error(tmp_path: Path, mask: torch.Tensor) -> None:
    spec = LabelSpec(setting="randomlabels", origin="published")
    label_mask(spec, NyuV2Spec(), 8, root=published(tmp_path, {"labels_weights": MIXED}, "randomlabels"))
    torch.save({"labels_weights": mask}, tmp_path / "nyuv2_settings/randomlabels.pth")
    with pytest.raises(DataError, match=r"randomlabels\.pth: .*(1 to 2 labels|files swapped)"):
        label_mask(spec, NyuV2Spec(), 8, root=tmp_path)


def test_swapped_published_files_are_an_error(shared: Path, tmp_path: Path) -> None:
    source, folder = shared / "data/label_settings/nyuv2_settings", tmp_path / "nyuv2_settings"
    folder.mkdir()
    for one, other in (("onelabel", "randomlabels"), ("randomlabels", "onelabel")):
        (folder / f"{one}.pth").write_bytes((source / f"{other}.pth").read_bytes())
    for setting in ("onelabel", "randomlabels"):
        with pytest.raises(DataError, match=rf"{setting}\.pth: "):
            label_mask(LabelSpec(setting=setting, origin="published"), NyuV2Spec(), 795, root=tmp_path)


@pytest.mark.parametrize("setting", ["onelabel", "randomlabels"])
@pytest.mark.parametrize("count", [60, pytest.param(3000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("archive", [False, True])
def test_mutated_files_are_noticed_or_harmless(tmp_path: Path, setting: str, count: int, archive: bool) -> None:
    spec = LabelSpec(setting=setting, origin="published")
    mask = label_mask(spec.model_copy(update={"origin": "generated"}), NyuV2Spec(), 30, root=None)
    path = published(tmp_path, {}, setting) / f"nyuv2_settings/{setting}.pth"
    content = {"labels_weights": torch.from_numpy(mask.astype(np.float32))}
    torch.save(content, path, _use_new_zipfile_serialization=archive)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for mutated in mutations(path.read_bytes(), count):
            path.write_bytes(mutated)
            with contextlib.suppress(DataError):
                np.testing.assert_array_equal(label_mask(spec, NyuV2Spec(), 30, root=tmp_path), mask)


def test_the_digest_is_that_of_the_content(tmp_path: Path) -> None:
    root = published(tmp_path, {"labels_weights": ONES})
    first = setting_digest(ONE, NyuV2Spec(), 8, root=root)
    torch.save({"labels_weights": ONES.flip(0)}, root / "nyuv2_settings/onelabel.pth")
    assert setting_digest(ONE, NyuV2Spec(), 8, root=root) != first
    drawn = [setting_digest(LabelSpec(setting="onelabel", seed=seed), RoomsSpec(), 8, root=None) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    with pytest.raises(DataError, match="no such file"):
        setting_digest(ONE, RoomsSpec(), 8, root=root)


class Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("executed"),))


def test_code_in_a_file_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="contains more than tensors"):
        label_mask(ONE, NyuV2Spec(), 8, root=published(tmp_path, {"labels_weights": Malicious()}))
    assert not Path("executed").exists()


@pytest.mark.parametrize("content", [b"", b"not a file of tensors", b"PK\x03\x04"])
def test_a_damaged_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    root = published(tmp_path, {})
    (root / "nyuv2_settings/onelabel.pth").write_bytes(content)
    with pytest.raises(DataError, match=r"onelabel\.pth: damaged"):
        label_mask(ONE, NyuV2Spec(), 8, root=root)
