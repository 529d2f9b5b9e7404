"""Pixels of image files, exactly as stored."""

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from rdc_sweeps.data.arrays import AnyArray, open_array
from rdc_sweeps.errors import DamagedError, DataError
from rdc_sweeps.files import read_file
from rdc_sweeps.specs.base import Size

FORMATS = ("PNG", "JPEG", "TIFF")

MOST_VALUES = 2**28
"""In a file that Pillow, which has a limit of its own, does not decode."""

_ORIENTATION = 0x0112


def read_pixels(path: Path, *, colours: bool) -> AnyArray:
    """The values of an image file or `.npy` file, without rounding or scaling.

    Args:
        path: The file.
        colours: Whether a palette's colours are wanted. Otherwise, palette images are their indices.

    Returns:
        (H, W) or (H, W, channels), in the file's own type.

    Raises:
        DataError: The file is missing, damaged, of another format, or would have to be turned upright.
    """
    if path.suffix.lower() == ".npy":
        return open_array(path).values
    try:
        return decode(read_file(path), str(path), colours=colours)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; restore it") from error
    except DamagedError as error:
        raise DataError(str(error)) from error


def decode(content: bytes, title: str, *, colours: bool) -> AnyArray:
    """The values of an image in memory; see `read_pixels`. `title` names it in messages."""
    try:
        with warnings.catch_warnings():
            # Of an image that may be too large; beyond its limit, Pillow raises an error.
            warnings.simplefilter("ignore")
            return _decoded(content, title, colours=colours)
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"{title}: is not a PNG, JPEG, TIFF or .npy file, or its beginning is damaged") from error
    except Exception as error:  # Decoders raise what they like, also zlib.error and struct.error.
        raise DataError(f"{title}: damaged ({error}); copy or write this file again") from error


def _decoded(content: bytes, title: str, *, colours: bool) -> AnyArray:
    if _is_deep_tiff(content):
        return _tiff(content, title)
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        if getattr(image, "n_frames", 1) > 1 and image.format == "TIFF":
            raise DataError(f"{title}: has {image.n_frames} pages; write one image per file")  # type: ignore[attr-defined]
        if (turned := image.getexif().get(_ORIENTATION, 1)) != 1:
            raise DataError(
                f"{title}: is stored turned (EXIF orientation {turned}), so its pixels may not be where its labels "
                "are; write it upright"
            )
        if image.format == "PNG" and content[24] == 16 and image.mode in {"RGB", "RGBA"}:
            return _deep_png(content)
        if image.mode in {"P", "PA"} and colours:
            return np.asarray(image.convert("RGB"))
        if image.mode in {"CMYK", "YCbCr", "LAB", "HSV"}:
            return np.asarray(image.convert("RGB"))
        values: AnyArray = np.asarray(image)
        if image.format == "PNG" and image.mode == "L" and content[24] in {2, 4} and not colours:
            # Pillow stretches grey values of 2 and 4 bits to 8.
            values = values // np.uint8(255 // (2 ** content[24] - 1))
        return values.astype(np.uint8) * (255 if colours else 1) if values.dtype == np.bool_ else values


def _is_deep_tiff(content: bytes) -> bool:
    """Whether this is a TIFF that Pillow rounds or refuses: channels of more than 8 bits, or values of more than 32."""
    if content[:4] not in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}:
        return False
    import tifffile

    with tifffile.TiffFile(io.BytesIO(content)) as file:
        page = file.pages.first
        return page.bitspersample > 8 and (page.samplesperpixel > 1 or page.bitspersample > 32)


def _tiff(content: bytes, title: str) -> AnyArray:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(content)) as file:
        if len(file.pages) > 1:
            raise DataError(f"{title}: has {len(file.pages)} pages; write one image per file")
        page = file.pages.first
        if page.size > MOST_VALUES:
            raise DataError(f"{title}: has {page.size} values, too many for an image")
        values: AnyArray = page.asarray()
    return np.moveaxis(values, 0, -1) if page.planarconfig == 2 else values


def _deep_png(content: bytes) -> AnyArray:
    """A colour PNG of 16 bits, which Pillow rounds to 8. PyTorch takes seconds to import, and such files are rare."""
    import torch
    from torchvision.io import ImageReadMode, decode_png

    values = decode_png(torch.frombuffer(bytearray(content), dtype=torch.uint8), ImageReadMode.UNCHANGED)
    return np.asarray(values.permute(1, 2, 0).numpy())


def rgb(values: AnyArray, title: str) -> AnyArray:
    """Grey or colour values as (H, W, 3), without transparency.

    Raises:
        DataError: They are neither.
    """
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.shape[2] not in {1, 2, 3, 4}:
        raise DataError(f"{title}: shape {values.shape}, expected an image of height x width x 3")
    return np.repeat(values[..., :1], 3, axis=2) if values.shape[2] < 3 else values[..., :3]


def by_area(image: AnyArray, size: Size) -> AnyArray:
    """An image (H, W, 3) at another size, each value the mean of the area that it covers.

    Returns:
        uint8 if the image is; otherwise as it is, or float32, in which integers are fractions of 65535.
    """
    if image.shape[:2] == size:
        return image
    if image.dtype == np.uint8:
        return _by_area(np.ascontiguousarray(image), size)
    scaled = image.astype(np.float32) / np.float32(65535 if image.dtype.kind in "ui" else 1)
    return np.stack([_by_area(np.ascontiguousarray(scaled[..., c]), size) for c in range(3)], axis=2)


def _by_area(values: AnyArray, size: Size) -> AnyArray:
    image, (height, width) = Image.fromarray(values), size
    if image.height % height == 0 and image.width % width == 0:
        # Rounds once; `resize` rounds rows and columns in turn.
        return np.asarray(image.reduce((image.width // width, image.height // height)))
    return np.asarray(image.resize((width, height), Image.Resampling.BOX))
