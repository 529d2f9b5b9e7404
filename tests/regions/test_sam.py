from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from rdc_sweeps.errors import UsageError
from rdc_sweeps.regions import sam
from rdc_sweeps.regions.build import BuildReport, build_regions
from rdc_sweeps.regions.sam import Mask, SamGenerator, overlay
from rdc_sweeps.regions.store import RegionStore
from rdc_sweeps.specs.sources import SamRegions

segment_anything = pytest.importorskip("segment_anything", reason="the extra `sam` is not installed")

masks = st.lists(
    st.builds(Mask, arrays(np.bool_, (5, 6)), st.sampled_from([0.25, 0.5, 0.75])),
    max_size=6,
)
EVERY_MASK = SamRegions(pred_iou_thresh=0, stability_score_thresh=0, box_nms_thresh=1, points_per_side=2)


def rectangle(top: int, left: int, bottom: int, right: int, predicted_iou: float = 0.5) -> Mask:
    pixels = np.zeros((5, 6), np.bool_)
    pixels[top:bottom, left:right] = True
    return Mask(pixels, predicted_iou)


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


@given(masks, st.randoms(use_true_random=False))
def test_the_order_of_masks_does_not_matter(found: list[Mask], random: Any) -> None:
    shuffled = random.sample(found, len(found))
    np.testing.assert_array_equal(overlay(found, 5, 6), overlay(shuffled, 5, 6))


@given(masks)
def test_a_pixel_belongs_to_the_smallest_mask_that_covers_it(found: list[Mask]) -> None:
    ids = overlay(found, 5, 6)
    assert np.unique(ids[ids >= 0]).tolist() == list(range(ids.max() + 1))
    owners: dict[int, set[int]] = {}
    for at in np.ndindex(5, 6):
        covering = [mask for mask in found if mask.pixels[at]]
        assert (ids[at] == -1) == (not covering)
        if covering:
            smallest = min(mask.pixels.sum() for mask in covering)
            candidates = {i for i, mask in enumerate(found) if mask.pixels[at] and mask.pixels.sum() == smallest}
            region = int(ids[at])
            owners[region] = owners.get(region, candidates) & candidates
    assert all(owners.values())


def test_finer_masks_lie_over_coarser_ones() -> None:
    ids = overlay([rectangle(1, 1, 2, 2), rectangle(0, 0, 4, 4)], 5, 6)
    assert ids.tolist() == [
        [0, 0, 0, 0, -1, -1],
        [0, 1, 0, 0, -1, -1],
        [0, 0, 0, 0, -1, -1],
        [0, 0, 0, 0, -1, -1],
        [-1, -1, -1, -1, -1, -1],
    ]


@pytest.mark.parametrize(
    ("found", "row"),
    [
        ([rectangle(0, 0, 1, 4, 0.9), rectangle(0, 2, 1, 6, 0.5)], [0, 0, 0, 0, 1, 1]),
        ([rectangle(0, 0, 1, 4, 0.5), rectangle(0, 2, 1, 6, 0.9)], [0, 0, 1, 1, 1, 1]),
        ([rectangle(0, 0, 1, 4, 0.5), rectangle(0, 2, 1, 6, 0.5)], [0, 0, 0, 0, 1, 1]),
    ],
    ids=["higher IoU first", "higher IoU last", "earlier start"],
)
def test_ties_of_area(found: list[Mask], row: list[int]) -> None:
    assert overlay(found, 5, 6)[0].tolist() == row


def test_a_mask_hidden_by_finer_ones_has_no_id() -> None:
    ids = overlay([rectangle(0, 0, 1, 4), rectangle(0, 0, 1, 2), rectangle(0, 2, 1, 4)], 5, 6)
    assert ids[0].tolist() == [0, 0, 1, 1, -1, -1]


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
    "setting",
    [
        {"points_per_side": 3},
        {"stability_score_thresh": 0.5},
        {"pred_iou_thresh": 0.5},
        {"box_nms_thresh": 0.5},
        {"crop_n_layers": 1},
        {"crop_n_layers": 1, "crop_n_points_downscale_factor": 2},
        {"min_mask_region_area": 200},
    ],
    ids=str,
)
def test_settings_reach_the_mask_generator(setting: dict[str, Any]) -> None:
    if "min_mask_region_area" in setting:
        pytest.importorskip("cv2")
    plain = SamGenerator(EVERY_MASK, weights, tiny_sam)(image())
    changed = SamGenerator(EVERY_MASK.model_copy(update=setting), weights, tiny_sam)(image())
    assert (plain != changed).any()


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


def test_removing_small_areas_needs_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sam, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="opencv-python-headless"):
        SamGenerator(SamRegions(min_mask_region_area=5), weights, tiny_sam)


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
