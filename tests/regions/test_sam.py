from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rdc_sweeps.regions.build import BuildReport, build_regions
from rdc_sweeps.regions.generator import eight_bit
from rdc_sweeps.regions.masks import Mask, overlay
from rdc_sweeps.regions.sam import SamGenerator
from rdc_sweeps.regions.store import RegionStore
from rdc_sweeps.specs.sources import SamRegions

segment_anything = pytest.importorskip("segment_anything", reason="the extra `sam` is not installed")

EVERY_MASK = SamRegions(pred_iou_thresh=0, stability_score_thresh=0, box_nms_thresh=1, points_per_side=2)


def tiny_sam() -> Any:
    """The library's own classes at 87 k parameters, with weights wide enough for many masks that leave gaps."""
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    side, patch, width = 128, 16, 32
    grid = side // patch
    model = Sam(
        ImageEncoderViT(
            img_size=side,
            patch_size=patch,
            embed_dim=width,
            depth=2,
            num_heads=2,
            out_chans=width,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=4,
            global_attn_indexes=(1,),
        ),
        PromptEncoder(
            embed_dim=width, image_embedding_size=(grid, grid), input_image_size=(side, side), mask_in_chans=4
        ),
        MaskDecoder(
            transformer_dim=width,
            transformer=TwoWayTransformer(depth=1, embedding_dim=width, mlp_dim=32, num_heads=2),
            num_multimask_outputs=3,
            iou_head_depth=2,
            iou_head_hidden_dim=16,
        ),
    )
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.ndim > 1:
                tensor.normal_(std=3 * tensor[0].numel() ** -0.5, generator=generator)
            elif name.endswith("bias"):
                tensor.zero_()
    return model.eval()


def weights() -> str:
    return "tiny"


def image(height: int = 48, width: int = 64) -> NDArray[np.float32]:
    return np.random.default_rng(0).random((height, width, 3)).astype(np.float32)


def test_sam_makes_an_id_map() -> None:
    generator = SamGenerator(EVERY_MASK, weights, tiny_sam)
    ids = generator(image())
    assert ids.shape == (48, 64)
    assert ids.dtype == np.int32
    assert ids.max() > 5
    assert 0.1 < (ids == -1).mean() < 0.9
    assert np.unique(ids).tolist() == list(range(-1, ids.max() + 1))
    np.testing.assert_array_equal(generator(image()), ids)
    np.testing.assert_array_equal(SamGenerator(EVERY_MASK, weights, tiny_sam)(image()), ids)


def test_no_mask_is_no_region() -> None:
    ids = SamGenerator(SamRegions(points_per_side=2, stability_score_thresh=1), weights, tiny_sam)(image())
    assert (ids == -1).all()


@pytest.mark.parametrize(
    ("base", "setting"),
    [
        ({}, {"points_per_side": 3}),
        ({}, {"stability_score_thresh": 0.5}),
        ({"stability_score_thresh": 0.5}, {"stability_score_offset": 0.1}),
        ({}, {"pred_iou_thresh": 0.5}),
        ({}, {"box_nms_thresh": 0.5}),
        ({}, {"crop_n_layers": 1}),
        ({"crop_n_layers": 1}, {"crop_nms_thresh": 0.2}),
        ({"crop_n_layers": 1}, {"crop_overlap_ratio": 0.8}),
        ({"crop_n_layers": 1}, {"crop_n_points_downscale_factor": 2}),
        ({}, {"min_mask_region_area": 200}),
    ],
    ids=str,
)
def test_settings_reach_the_mask_generator(base: dict[str, Any], setting: dict[str, Any]) -> None:
    plain = EVERY_MASK.model_copy(update=base)
    changed = plain.model_copy(update=setting)
    assert (SamGenerator(plain, weights, tiny_sam)(image()) != SamGenerator(changed, weights, tiny_sam)(image())).any()


def test_the_model_is_loaded_once_and_not_before_it_is_needed() -> None:
    loads: list[Any] = []

    def load() -> Any:
        loads.append(1)
        return tiny_sam()

    generator = SamGenerator(EVERY_MASK, weights, load)
    assert generator.key
    assert not loads
    generator(image())
    generator(image())
    assert loads == [1]


def test_settings_and_weights_are_the_key_and_the_files_name_is_not() -> None:
    def key(content: str = "a", **settings: Any) -> str:
        return SamGenerator(SamRegions(**settings), lambda: content, tiny_sam).key

    assert key() == key(checkpoint="renamed.pth")
    assert len({key(), key("b"), key(pred_iou_thresh=0.5), key(points_per_side=16), key(crop_n_layers=1)}) == 5


@pytest.mark.parametrize(
    "settings",
    [{}, {"crop_n_layers": 1}, {"min_mask_region_area": 200}, {"min_mask_region_area": 60, "box_nms_thresh": 0.3}],
    ids=str,
)
def test_maps_are_those_of_the_published_generator(settings: dict[str, Any]) -> None:
    if "min_mask_region_area" in settings:
        pytest.importorskip("cv2")
    spec = EVERY_MASK.model_copy(update=settings)
    options = spec.model_dump(exclude={"source", "model", "checkpoint"})
    published = segment_anything.SamAutomaticMaskGenerator(tiny_sam(), **options).generate(eight_bit(image()))
    masks = [Mask.of(mask["segmentation"], mask["predicted_iou"]) for mask in published]
    np.testing.assert_array_equal(SamGenerator(spec, weights, tiny_sam)(image()), overlay(masks, 48, 64))


def test_points_in_batches_give_the_same_map() -> None:
    spec = EVERY_MASK.model_copy(update={"points_per_side": 3})
    batched = spec.model_copy(update={"points_per_batch": 2})
    assert SamGenerator(batched, weights, tiny_sam).key == SamGenerator(spec, weights, tiny_sam).key
    ids = SamGenerator(spec, weights, tiny_sam)(image())
    # The sums of another batch are rounded otherwise.
    assert (SamGenerator(batched, weights, tiny_sam)(image()) == ids).mean() > 0.99


def test_points_can_be_given() -> None:
    grid = ((0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75))
    given = EVERY_MASK.model_copy(update={"points_per_side": 9, "point_grids": (grid,)})
    ids = SamGenerator(EVERY_MASK, weights, tiny_sam)(image())
    np.testing.assert_array_equal(SamGenerator(given, weights, tiny_sam)(image()), ids)


def test_sams_maps_are_stored_and_read(tmp_path: Path) -> None:
    class Pictures:
        def __len__(self) -> int:
            return 2

        def image(self, index: int) -> NDArray[np.float32]:
            return image(32 + index, 40)

    generator = SamGenerator(EVERY_MASK, weights, tiny_sam)
    store = RegionStore(tmp_path, generator.key)
    assert build_regions(Pictures(), generator, store) == BuildReport(built=2)
    unloadable = SamGenerator(EVERY_MASK, weights, lambda: pytest.fail("nothing is left to compute"))
    assert build_regions(Pictures(), unloadable, RegionStore(tmp_path, unloadable.key)) == BuildReport(reused=2)
    np.testing.assert_array_equal(store.reader(Pictures())(1), generator(image(33, 40)))
