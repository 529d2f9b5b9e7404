"""Values of image files are read exactly as stored, or refused."""

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from rdc_sweeps.data.importing.pixels import by_area, read_pixels, rgb
from rdc_sweeps.errors import DataError

RNG = np.random.default_rng(0)


def stored(dtype: Any, *shape: int) -> np.ndarray[Any, Any]:
    """Values over the whole range of an integer type, or a float type's in [-1, 1]."""
    if np.dtype(dtype).kind == "f":
        return RNG.uniform(-1, 1, shape).astype(dtype)
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def png(values: np.ndarray[Any, Any], bits: int, colour: int) -> bytes:
    """A PNG of any kind, since Pillow writes few."""
    rows = []
    for row in values:
        if bits < 8:
            flat = np.array([int(one) >> shift & 1 for one in row.ravel() for shift in reversed(range(bits))], np.uint8)
            rows.append(b"\0" + np.packbits(flat).tobytes())
        else:
            rows.append(b"\0" + row.astype(f">u{bits // 8}").tobytes())
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b""))
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("dtype", "shape"), [("uint8", (5, 7)), ("uint8", (5, 7, 3)), ("uint8", (5, 7, 4)), ("uint16", (5, 7))]
)
@pytest.mark.parametrize("end", [".png", ".tif"])
def test_what_pillow_writes(tmp_path: Path, dtype: str, shape: tuple[int, ...], end: str) -> None:
    values = stored(dtype, *shape)
    Image.fromarray(values).save(tmp_path / f"a{end}")
    found = read_pixels(tmp_path / f"a{end}", colours=False)
    np.testing.assert_array_equal(found, values)
    assert found.dtype == values.dtype


@pytest.mark.parametrize("dtype", ["uint16", "float32", "float64", "int16"])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
@pytest.mark.parametrize(
    "options", [{}, {"compression": "zlib"}, {"planarconfig": "separate"}, {"byteorder": ">"}], ids=str
)
def test_tiff_of_more_than_eight_bits(
    tmp_path: Path, dtype: str, shape: tuple[int, ...], options: dict[str, Any]
) -> None:
    values = stored(dtype, *shape)
    if len(shape) == 2 and "planarconfig" in options:
        pytest.skip("one channel has no planes")
    written = np.moveaxis(values, -1, 0) if "planarconfig" in options else values
    tifffile.imwrite(tmp_path / "a.tif", written, photometric="rgb" if len(shape) == 3 else "minisblack", **options)
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.tif", colours=False), values)


@pytest.mark.parametrize(
    ("bits", "colour", "shape"),
    [(16, 2, (5, 7, 3)), (16, 6, (5, 7, 4)), (16, 0, (5, 7)), (4, 0, (5, 8)), (2, 0, (5, 8)), (1, 0, (5, 8))],
)
def test_png_of_few_or_many_bits(tmp_path: Path, bits: int, colour: int, shape: tuple[int, ...]) -> None:
    values = RNG.integers(0, 2**bits, shape)
    (tmp_path / "a.png").write_bytes(png(values, bits, colour))
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.png", colours=False), values)


def test_a_palette_is_ids_or_colours(tmp_path: Path) -> None:
    ids = stored("uint8", 5, 7) % 4
    image = Image.fromarray(ids, mode="P")
    palette = np.array([[0, 0, 0], [200, 0, 0], [0, 100, 0], [9, 8, 7]], dtype=np.uint8)
    image.putpalette(palette.ravel().tolist())
    image.save(tmp_path / "a.png", bits=2)
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.png", colours=False), ids)
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.png", colours=True), palette[ids])


def test_npy_and_jpeg(tmp_path: Path) -> None:
    values = stored("int32", 5, 7)
    np.save(tmp_path / "a.NPY.npy", values)
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.NPY.npy", colours=False), values)
    smooth = np.linspace(0, 255, 32 * 32 * 3).reshape(32, 32, 3).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95)
    assert np.abs(read_pixels(tmp_path / "a.jpg", colours=True).astype(int) - smooth).mean() < 8


def damaged(path: Path) -> None:
    Image.fromarray(stored("uint8", 64, 64)).save(path)
    path.write_bytes(path.read_bytes()[:2000])


def turned(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(stored("uint8", 8, 8)).save(path, exif=exif)


def two_pages(path: Path) -> None:
    pages = [Image.fromarray(stored("uint8", 8, 8)) for _ in range(2)]
    pages[0].save(path, save_all=True, append_images=pages[1:])


@pytest.mark.parametrize(
    ("name", "write", "told"),
    [
        ("a.png", damaged, "damaged .*copy or write this file again"),
        ("a.jpg", damaged, "damaged"),
        ("a.tif", lambda path: path.write_bytes(b"II*\0" + bytes(20)), "damaged|is not a PNG"),
        ("a.png", lambda path: path.write_bytes(b"<svg/>"), "is not a PNG, JPEG, TIFF or .npy file"),
        ("a.png", lambda path: Image.new("L", (4, 4)).save(path, format="GIF"), "is not a PNG, JPEG, TIFF"),
        ("a.npy", lambda path: path.write_bytes(b"\x93NUMPY"), "truncated"),
        ("a.npy", lambda path: np.save(path, np.array([{}]), allow_pickle=True), "truncated, or not an array"),
        ("a.jpg", turned, "EXIF orientation 6"),
        ("a.tif", two_pages, "has 2 pages"),
        ("a.tif", lambda path: tifffile.imwrite(path, stored("uint16", 2, 5, 7, 3), photometric="rgb"), "has 2 pages"),
        ("a.png", lambda path: path.mkdir(), "is not a file"),
        ("a.png", os.mkfifo, "is not a file"),
        ("a.png", lambda path: None, "no such file; restore it"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(tmp_path: Path, name: str, write: Any, told: str) -> None:
    write(tmp_path / name)
    with pytest.raises(DataError, match=told) as error:
        read_pixels(tmp_path / name, colours=True)
    assert str(tmp_path / name) in str(error.value)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    content = png(np.zeros((1, 8)), 1, 0)
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 1, 0, 0, 0, 0)
    (tmp_path / "a.png").write_bytes(
        content[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + content[33:]
    )
    with pytest.raises(DataError, match=r"damaged \(Image size"):
        read_pixels(tmp_path / "a.png", colours=True)


@pytest.mark.parametrize(("shape", "same"), [((5, 7), False), ((5, 7, 1), False), ((5, 7, 3), True), ((5, 7, 4), True)])
def test_grey_and_transparent_images_become_rgb(shape: tuple[int, ...], same: bool) -> None:
    values = stored("uint8", *shape)
    found = rgb(values, "a.png")
    np.testing.assert_array_equal(found, values[..., :3] if same else np.dstack([values] * 3))


@pytest.mark.parametrize("shape", [(5,), (3, 5, 7), (2, 5, 7, 3)])
def test_other_shapes_are_no_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"a.png: shape .*height x width x 3"):
        rgb(np.zeros(shape), "a.png")


@given(arrays("uint8", (8, 12, 3)), st.sampled_from([(4, 6), (2, 12), (8, 12), (1, 1)]))
def test_each_value_is_the_mean_of_its_area(image: np.ndarray[Any, Any], size: tuple[int, int]) -> None:
    height, width = size
    wanted = image.reshape(height, 8 // height, width, 12 // width, 3).mean(axis=(1, 3))
    assert np.abs(by_area(image, size) - wanted).max() <= 0.51
    deep = (image * np.uint16(257)).astype(np.uint16)
    if size != (8, 12):
        np.testing.assert_allclose(by_area(deep, size), wanted / 255, atol=1e-6)


def test_sizes_that_do_not_divide_each_other() -> None:
    image = np.full((10, 15, 3), 77, dtype=np.uint8)
    assert (by_area(image, (4, 7)) == 77).all()
    assert by_area(image, (4, 7)).shape == (4, 7, 3)
    assert by_area(image, (20, 31)).shape == (20, 31, 3)
