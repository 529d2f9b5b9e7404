import contextlib
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from rdc_sweeps.errors import UsageError, WeightsError
from rdc_sweeps.regions.checkpoints import checkpoint_checksum
from rdc_sweeps.regions.sam_checkpoint import ENCODERS, check_sam_checkpoint, load_sam
from rdc_sweeps.regions.sources import region_generator
from rdc_sweeps.specs.sources import SamRegions

VIT_B = SamRegions(model="vit_b", checkpoint="sam.pth")


def encoder(width: int, depth: int) -> dict[str, Tensor]:
    """The names and shapes that tell SAM's models apart, nearly without weights."""
    return {
        "image_encoder.pos_embed": torch.zeros(1, 1, 1, width),
        **{f"image_encoder.blocks.{i}.norm1.weight": torch.zeros(1) for i in range(depth)},
    }


def saved(folder: Path, content: Any, **options: Any) -> Path:
    path = folder / "sam.pth"
    torch.save(content, path, **options)
    return path


def test_no_weights_folder() -> None:
    with pytest.raises(WeightsError, match=r"sam\.pth.*RDC_SWEEP_WEIGHTS_ROOT"):
        check_sam_checkpoint(VIT_B, None)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=rf"{tmp_path}/sam\.pth.*not found.*sam_vit_b_01ec64\.pth"):
        check_sam_checkpoint(VIT_B, tmp_path)
    (tmp_path / "sam.pth").mkdir()
    with pytest.raises(WeightsError, match="not found"):
        check_sam_checkpoint(VIT_B, tmp_path)


def not_weights(path: Path) -> None:
    path.write_bytes(b"<html>404</html>")


def cut_short(path: Path) -> None:
    torch.save(encoder(768, 12), path)
    path.write_bytes(path.read_bytes()[:-500])


def empty(path: Path) -> None:
    path.touch()


def legacy(path: Path) -> None:
    torch.save(encoder(768, 12), path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("damage", [not_weights, cut_short, empty, legacy])
def test_not_a_torch_file(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    damage(tmp_path / "sam.pth")
    with pytest.raises(WeightsError, match=r"sam\.pth: not a PyTorch checkpoint, or cut short \(\d+ bytes\).*again"):
        check_sam_checkpoint(VIT_B, tmp_path)


class Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("arbitrary code",))


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved(tmp_path, Payload())
    with pytest.raises(WeightsError, match="cannot be read"):
        check_sam_checkpoint(VIT_B, tmp_path)
    assert "arbitrary" not in capsys.readouterr().out


def test_an_archive_of_something_else(tmp_path: Path) -> None:
    with (tmp_path / "sam.pth").open("wb") as file:
        np.savez(file, weights=np.zeros(3))
    with pytest.raises(WeightsError, match="cannot be read as PyTorch weights"):
        check_sam_checkpoint(VIT_B, tmp_path)


@given(st.data())
def test_damage_is_never_another_kind_of_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = saved(tmp_path_factory.mktemp("weights"), encoder(768, 12))
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with contextlib.suppress(WeightsError), warnings.catch_warnings(action="ignore"):
        check_sam_checkpoint(VIT_B, path.parent)


@pytest.mark.parametrize(
    "content", [[1, 2], {1: torch.zeros(1)}, {"model": {"image_encoder.pos_embed": torch.zeros(1)}}, torch.zeros(2)]
)
def test_not_a_state_dict(tmp_path: Path, content: Any) -> None:
    saved(tmp_path, content)
    with pytest.raises(WeightsError, match="not a state dict"):
        check_sam_checkpoint(VIT_B, tmp_path)


@pytest.mark.parametrize("state", [{}, {"conv1.weight": torch.zeros(3)}, {"image_encoder.pos_embed": torch.zeros(3)}])
def test_the_weights_of_something_else(tmp_path: Path, state: dict[str, Tensor]) -> None:
    saved(tmp_path, state)
    with pytest.raises(WeightsError, match="not a SAM checkpoint"):
        check_sam_checkpoint(VIT_B, tmp_path)


@pytest.mark.parametrize("model", ["vit_b", "vit_l", "vit_h"])
@pytest.mark.parametrize("held", ["vit_b", "vit_l", "vit_h"])
def test_each_model_takes_only_its_own_checkpoint(tmp_path: Path, model: Any, held: str) -> None:
    path = saved(tmp_path, encoder(*ENCODERS[held]))
    spec = SamRegions(model=model, checkpoint="sam.pth")
    if model == held:
        assert check_sam_checkpoint(spec, tmp_path) == path
    else:
        with pytest.raises(WeightsError, match=f"holds {held}, but regions.model is {model}; set regions.model to"):
            check_sam_checkpoint(spec, tmp_path)


def test_an_encoder_that_was_never_published(tmp_path: Path) -> None:
    saved(tmp_path, encoder(192, 6))
    with pytest.raises(WeightsError, match=r"width 192 and depth 6, but regions\.model is vit_b; name the vit_b"):
        check_sam_checkpoint(VIT_B, tmp_path)


def test_a_checkpoint_is_known_by_its_content(tmp_path: Path) -> None:
    saved(tmp_path, encoder(768, 12))
    first = region_generator(VIT_B, weights_root=tmp_path, device="cpu").key
    (tmp_path / "sam.pth").rename(tmp_path / "other.pth")
    moved = VIT_B.model_copy(update={"checkpoint": "other.pth"})
    assert region_generator(moved, weights_root=tmp_path, device="cpu").key == first
    saved(tmp_path, encoder(768, 12) | {"more": torch.ones(1)})
    assert region_generator(VIT_B, weights_root=tmp_path, device="cpu").key != first


def test_checksum(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert checkpoint_checksum(path) == "ba7816bf8f01cfea"


def test_the_library_is_needed_only_when_a_map_is_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path, encoder(768, 12))
    monkeypatch.setitem(sys.modules, "segment_anything", None)
    generator = region_generator(VIT_B, weights_root=tmp_path, device="cpu")
    with pytest.raises(UsageError, match=r"pip install -e '\.\[sam\]' in the checkout"):
        generator(np.zeros((32, 32, 3)))


@pytest.mark.slow
def test_a_real_sam_vit_b(tmp_path: Path) -> None:
    """With weights of random numbers, saved and loaded as the published ones are."""
    registry = pytest.importorskip("segment_anything").sam_model_registry
    torch.manual_seed(0)
    state = registry["vit_b"]().state_dict()
    path = saved(tmp_path, state)
    assert check_sam_checkpoint(VIT_B, tmp_path) == path

    spec = VIT_B.model_copy(update={"points_per_side": 4, "pred_iou_thresh": 0, "stability_score_thresh": 0})
    generator = region_generator(spec, weights_root=tmp_path, device="cpu")
    image = np.random.default_rng(0).random((96, 128, 3)).astype(np.float32)
    ids = generator(image)
    assert ids.shape == (96, 128)
    assert np.unique(ids[ids >= 0]).tolist() == list(range(ids.max() + 1))
    assert ids.max() >= 0

    state.pop("mask_decoder.iou_token.weight")
    saved(tmp_path, state)
    with pytest.raises(WeightsError, match=r"does not fit SAM's vit_b[\s\S]*iou_token"):
        load_sam(VIT_B, path, "cpu")
