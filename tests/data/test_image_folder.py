from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rdc_sweeps.data.image_folder import ImageFolder
from rdc_sweeps.errors import DataError


def test_images_in_a_folder_have_their_own_sizes(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    colours = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    Image.fromarray(colours).save(tmp_path / "b" / "colour.PNG")
    Image.fromarray(colours[:4, :4, 0]).save(tmp_path / "grey.tif")
    np.save(tmp_path / "array.npy", colours / np.float32(255))
    (tmp_path / "notes.txt").write_text("no image")
    images = ImageFolder(tmp_path)
    assert [path.name for path in images.paths] == ["array.npy", "colour.PNG", "grey.tif"]
    np.testing.assert_allclose(images.image(0), colours / 255, atol=1e-6)
    np.testing.assert_allclose(images.image(1), colours / 255, atol=1e-6)
    np.testing.assert_allclose(images.image(2), np.repeat(colours[:4, :4, :1], 3, axis=2) / 255, atol=1e-6)


def test_a_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no images"):
        ImageFolder(tmp_path)


def test_a_damaged_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"broken\.png"):
        ImageFolder(tmp_path).image(0)
