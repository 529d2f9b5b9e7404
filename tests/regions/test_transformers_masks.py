import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rdc_sweeps.errors import UsageError, WeightsError
from rdc_sweeps.regions.sources import region_generator
from rdc_sweeps.regions.transformers_masks import TransformersGenerator
from rdc_sweeps.specs.sources import TransformersRegions

SIDE, WIDTH = 64, 32
GRID = SIDE // 16


def tiny_sam() -> tuple[Any, Any]:
    """SAM with few parameters, and what prepares its images."""
    from transformers import SamConfig, SamImageProcessor, SamModel
    from transformers.models.sam.configuration_sam import SamMaskDecoderConfig, SamPromptEncoderConfig, SamVisionConfig

    config = SamConfig(
        vision_config=SamVisionConfig(
            hidden_size=WIDTH, output_channels=WIDTH, num_hidden_layers=2, num_attention_heads=2, image_size=SIDE,
            window_size=2, global_attn_indexes=[1], num_pos_feats=WIDTH // 2, initializer_range=0.2,
        ),
        prompt_encoder_config=SamPromptEncoderConfig(hidden_size=WIDTH, image_size=SIDE, mask_input_channels=4),
        mask_decoder_config=SamMaskDecoderConfig(
            hidden_size=WIDTH, mlp_dim=32, num_hidden_layers=1, num_attention_heads=2, iou_head_depth=2,
            iou_head_hidden_dim=16,
        ),
    )  # fmt: skip
    sizes = {"pad_size": {"height": SIDE, "width": SIDE}, "mask_pad_size": {"height": 16, "width": 16}}
    processor = SamImageProcessor(size={"longest_edge": SIDE}, mask_size={"longest_edge": 16}, **sizes)
    return SamModel(config), processor


def tiny_sam2() -> tuple[Any, Any]:
    """SAM 2 with few parameters, and what prepares its images."""
    from transformers import Sam2Config, Sam2HieraDetConfig, Sam2ImageProcessor, Sam2Model, Sam2VisionConfig
    from transformers.models.sam2.configuration_sam2 import Sam2MaskDecoderConfig, Sam2PromptEncoderConfig

    stages = [8, 16, 32, 64]
    config = Sam2Config(
        vision_config=Sam2VisionConfig(
            backbone_config=Sam2HieraDetConfig(
                hidden_size=8, image_size=[SIDE, SIDE], blocks_per_stage=[1, 1, 2, 1], embed_dim_per_stage=stages,
                num_attention_heads_per_stage=[1, 1, 2, 2], window_size_per_stage=[4, 4, 2, 2],
                global_attention_blocks=[3],
            ),
            backbone_channel_list=stages[::-1], fpn_hidden_size=WIDTH,
            backbone_feature_sizes=[[SIDE // 4] * 2, [SIDE // 8] * 2, [GRID] * 2],
        ),
        prompt_encoder_config=Sam2PromptEncoderConfig(hidden_size=WIDTH, image_size=SIDE, mask_input_channels=4),
        mask_decoder_config=Sam2MaskDecoderConfig(
            hidden_size=WIDTH, mlp_dim=32, num_hidden_layers=1, num_attention_heads=2, iou_head_depth=2,
            iou_head_hidden_dim=16,
        ),
    )  # fmt: skip
    sizes = {"size": {"height": SIDE, "width": SIDE}, "mask_size": {"height": 16, "width": 16}}
    return Sam2Model(config), Sam2ImageProcessor(**sizes)


def save(parts: tuple[Any, Any], folder: Path) -> None:
    """Save a model with weights wide enough for several masks."""
    model, processor = parts
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.ndim > 1:
                tensor.normal_(std=2 * tensor[0].numel() ** -0.5, generator=generator)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers", reason="the extra `transformers` is not installed")
    root = tmp_path_factory.mktemp("weights")
    save(tiny_sam(), root / "sam")
    save(tiny_sam2(), root / "sam2")
    return root


def spec(checkpoint: str, **settings: Any) -> TransformersRegions:
    every: dict[str, Any] = {
        "pred_iou_thresh": 0,
        "stability_score_thresh": 0,
        "crop_nms_thresh": 1,
        "points_per_side": 3,
    }
    return TransformersRegions(checkpoint=checkpoint, **{**every, **settings})


def ids_of(weights: Path, chosen: TransformersRegions) -> NDArray[np.int32]:
    image = np.random.default_rng(0).random((48, 64, 3)).astype(np.float32)
    return region_generator(chosen, weights_root=weights, device="cpu")(image)


@pytest.mark.parametrize("checkpoint", ["sam", "sam2"])
def test_a_saved_model_makes_an_id_map(weights: Path, checkpoint: str) -> None:
    ids = ids_of(weights, spec(checkpoint))
    assert ids.shape == (48, 64)
    assert ids.dtype == np.int32
    assert ids.max() > 1
    assert np.unique(ids[ids >= 0]).tolist() == list(range(ids.max() + 1))
    np.testing.assert_array_equal(ids_of(weights, spec(checkpoint)), ids)
    assert (ids_of(weights, spec(checkpoint, points_per_side=2)) != ids).any()
    assert (ids_of(weights, spec(checkpoint, min_mask_region_area=200)) != ids).any()


def test_every_setting_reaches_the_pipeline() -> None:
    pytest.importorskip("transformers", reason="the extra `transformers` is not installed")
    from transformers import MaskGenerationPipeline

    given: list[dict[str, Any]] = []

    def pipeline(image: Any, **options: Any) -> list[Any]:
        given.append(options)
        return []

    chosen = spec(
        "sam", points_per_batch=7, stability_score_offset=0.5, mask_threshold=0.1, crop_n_layers=1,
        crop_overlap_ratio=0.2, crop_n_points_downscale_factor=2,
    )  # fmt: skip
    generator = TransformersGenerator(chosen, lambda: "tiny", lambda: pipeline)
    assert (generator(np.zeros((6, 8, 3), np.float32)) == -1).all()
    (options,) = given
    known = MaskGenerationPipeline._sanitize_parameters(None, **options)
    assert {name for some in known for name in some} == set(options)
    of_spec = chosen.model_dump(exclude={"source", "checkpoint", "min_mask_region_area"}).values()
    assert sorted(options.values()) == sorted(of_spec)


def test_no_mask_is_no_region(weights: Path) -> None:
    assert (ids_of(weights, spec("sam", pred_iou_thresh=1, stability_score_thresh=1)) == -1).all()


def test_masks_are_those_of_the_pipeline(weights: Path) -> None:
    from PIL import Image
    from transformers import pipeline

    from rdc_sweeps.regions.masks import Mask, overlay

    image = np.random.default_rng(0).random((48, 64, 3)).astype(np.float32)
    chosen = spec("sam", crop_nms_thresh=0.97, stability_score_thresh=0.1)
    found = pipeline("mask-generation", model=str(weights / "sam"), device="cpu")(
        Image.fromarray(np.rint(image * 255).astype(np.uint8)),
        points_per_crop=3, pred_iou_thresh=0, stability_score_thresh=0.1, crops_nms_thresh=0.97,
    )  # fmt: skip
    masks = [
        Mask.of(np.asarray(mask), float(score)) for mask, score in zip(found["masks"], found["scores"], strict=True)
    ]
    assert len(masks) > 1
    np.testing.assert_array_equal(ids_of(weights, chosen), overlay(masks, 48, 64))


def test_content_is_the_key_and_the_folders_name_is_not(weights: Path, tmp_path: Path) -> None:
    def key(root: Path, checkpoint: str) -> str:
        return region_generator(spec(checkpoint), weights_root=root, device="cpu").key

    (tmp_path / "renamed").symlink_to(weights / "sam")
    assert key(tmp_path, "renamed") == key(weights, "sam") != key(weights, "sam2")


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        (None, "not found"),
        ({}, "no config.json"),
        ({"config.json": {"model_type": "sam"}, "pytorch_model.bin": {}}, "no .*safetensors"),
        ({"config.json": {}, "model.safetensors": {}}, "names no model_type"),
        ({"config.json": {"model_type": "bert"}, "model.safetensors": {}}, "type 'bert'"),
    ],
)
def test_what_is_no_saved_model(tmp_path: Path, files: dict[str, Any] | None, problem: str) -> None:
    for name, content in (files or {}).items():
        (tmp_path / "model").mkdir(exist_ok=True)
        (tmp_path / "model" / name).write_text(json.dumps(content))
    if files is not None:
        (tmp_path / "model").mkdir(exist_ok=True)
    with pytest.raises(WeightsError, match=problem):
        region_generator(spec("model"), weights_root=tmp_path, device="cpu")


def test_weights_that_are_cut_short(weights: Path, tmp_path: Path) -> None:
    for file in (weights / "sam").iterdir():
        content = file.read_bytes()
        (tmp_path / file.name).write_bytes(content[: len(content) // 2] if file.suffix == ".safetensors" else content)
    with pytest.raises(WeightsError, match="cannot load"):
        ids_of(tmp_path.parent, spec(tmp_path.name))


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"model_type": "sam"}')
    (tmp_path / "model" / "model.safetensors").touch()
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UsageError, match=r"\.\[transformers\]"):
        ids_of(tmp_path, spec("model"))
