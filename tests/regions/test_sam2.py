import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from rdc_sweeps.errors import UsageError, WeightsError
from rdc_sweeps.regions.masks import Mask, overlay
from rdc_sweeps.regions.sam2 import ENCODERS, Sam2Generator, check_sam2_checkpoint, load_sam2, published
from rdc_sweeps.regions.sources import region_generator
from rdc_sweeps.specs.sources import Sam2Regions

EVERY_MASK = Sam2Regions(pred_iou_thresh=0, stability_score_thresh=0, box_nms_thresh=1, points_per_side=2)

TINY = [
    "++model.image_size=128",
    "++model.image_encoder.trunk.embed_dim=8",
    "++model.image_encoder.trunk.stages=[1,1,2,1]",
    "++model.image_encoder.trunk.global_att_blocks=[3]",
    "++model.image_encoder.neck.backbone_channel_list=[64,32,16,8]",
]


def tiny_sam2() -> Any:
    """The package's own network with a small encoder, and weights wide enough for several masks."""
    from sam2.build_sam import build_sam2

    model = build_sam2("configs/sam2.1/sam2.1_hiera_t.yaml", device="cpu", hydra_overrides_extra=TINY)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.ndim > 1:
                tensor.normal_(std=2 * tensor[0].numel() ** -0.5, generator=generator)
    return model


@pytest.fixture(scope="module")
def load() -> Iterator[Callable[[], Any]]:
    pytest.importorskip("sam2", reason="the extra `sam2` is not installed")
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    model, begin = tiny_sam2(), SAM2ImagePredictor.__init__

    def begin_small(self: Any, *arguments: Any, **named: Any) -> None:
        begin(self, *arguments, **named)
        # Written for images of 1024 pixels.
        self._bb_feat_sizes = [(32, 32), (16, 16), (8, 8)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SAM2ImagePredictor, "__init__", begin_small)
        yield lambda: model


def image() -> NDArray[np.float32]:
    return np.random.default_rng(0).random((48, 64, 3)).astype(np.float32)


def ids_of(load: Callable[[], Any], **settings: Any) -> NDArray[np.int32]:
    return Sam2Generator(EVERY_MASK.model_copy(update=settings), lambda: "tiny", load)(image())


def test_sam2_makes_an_id_map(load: Callable[[], Any]) -> None:
    ids = ids_of(load)
    assert ids.shape == (48, 64)
    assert ids.max() > 1
    assert np.unique(ids[ids >= 0]).tolist() == list(range(ids.max() + 1))
    np.testing.assert_array_equal(ids_of(load), ids)


def test_masks_are_those_of_the_published_generator(load: Callable[[], Any]) -> None:
    from sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator

    options = EVERY_MASK.model_dump(exclude={"source", "model", "checkpoint"})
    found = SAM2AutomaticMaskGenerator(load(), **options).generate(np.rint(image() * 255).astype(np.uint8))
    masks = [Mask.of(mask["segmentation"], mask["predicted_iou"]) for mask in found]
    np.testing.assert_array_equal(ids_of(load), overlay(masks, 48, 64))


@pytest.mark.parametrize(
    "setting",
    [
        {"points_per_side": 3},
        {"point_grids": (((0.1, 0.2),),)},
        {"mask_threshold": 0.5},
        {"use_m2m": True},
        {"multimask_output": False},
        {"crop_n_layers": 1},
        {"min_mask_region_area": 200},
    ],
    ids=str,
)
def test_settings_reach_the_mask_generator(load: Callable[[], Any], setting: dict[str, Any]) -> None:
    assert (ids_of(load, **setting) != ids_of(load)).any()


def encoder(model: str) -> dict[str, Tensor]:
    """The names and shapes that tell the models apart, nearly without weights."""
    family, _, size = model.partition("_")
    width, depth = ENCODERS[size]
    return {
        "image_encoder.trunk.pos_embed": torch.zeros(1, width, 1, 1),
        **{f"image_encoder.trunk.blocks.{i}.norm1.weight": torch.zeros(1) for i in range(depth)},
        **({"no_obj_embed_spatial": torch.zeros(1)} if family == "sam2.1" else {}),
    }


MODELS = Sam2Regions.model_fields["model"].annotation.__args__  # type: ignore[union-attr]


@pytest.mark.parametrize("model", MODELS)
def test_published_checkpoints_are_told_apart(tmp_path: Path, model: str) -> None:
    torch.save({"model": encoder(model)}, tmp_path / published(model))
    own = Sam2Regions(model=model, checkpoint=published(model))
    assert check_sam2_checkpoint(own, tmp_path) == tmp_path / published(model)
    other = own.model_copy(update={"model": next(name for name in MODELS if name != model)})
    with pytest.raises(WeightsError, match=rf"holds {model.replace('+', '[+]')}, but"):
        check_sam2_checkpoint(other, tmp_path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, r"not found.*sam2\.1_hiera_large\.pt"),
        ({"model": {"image_encoder.pos_embed": torch.zeros(1, 1, 1, 768)}}, "not a SAM 2 checkpoint"),
        ({"model": [1]}, "not a state dict"),
        ({"model": {"image_encoder.trunk.pos_embed": torch.zeros(1, 5, 1, 1)}}, "width 5 and depth 0"),
    ],
)
def test_what_is_no_checkpoint(tmp_path: Path, content: Any, problem: str) -> None:
    if content is not None:
        torch.save(content, tmp_path / "sam2.1_hiera_large.pt")
    with pytest.raises(WeightsError, match=problem):
        region_generator(Sam2Regions(), weights_root=tmp_path, device="cpu")


def test_a_checkpoint_that_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sam2", reason="the extra `sam2` is not installed")
    path = tmp_path / "sam2.1_hiera_tiny.pt"
    torch.save({"model": encoder("sam2.1_hiera_t")}, path)
    monkeypatch.setattr("sam2.build_sam.build_sam2", lambda *_, **__: torch.nn.Linear(1, 1))
    with pytest.raises(WeightsError, match=r"does not fit sam2\.1_hiera_t"):
        load_sam2(Sam2Regions(model="sam2.1_hiera_t", checkpoint=path.name), path, "cpu")


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sam2", "sam2.build_sam"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=r"\.\[sam2\]"):
        load_sam2(Sam2Regions(), tmp_path / "any", "cpu")
