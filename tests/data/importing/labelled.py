"""A small nyu_depth_v2_labeled.mat: HDF5 as MATLAB writes v7.3, with a few scenes."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image
from scipy.io import savemat

from rdc_sweeps.data.arrays import AnyArray, nearest
from rdc_sweeps.data.importing.nyuv2_facts import class_of_label
from rdc_sweeps.synthetic.rooms.scenes import render

NATIVE = (480, 640)

TRAIN, TEST = (2, 3), (1,)
"""Numbers of the images of the splits of small files."""

LABEL_OF_CLASS = np.array([0, *(int(np.flatnonzero(class_of_label(13) == one)[0]) for one in range(13))], np.uint16)
"""A label of each of the 13 classes, after 0 for unlabelled ones."""


@dataclass(frozen=True)
class Labelled:
    """A scene of the file, at 480x640: uint8 image, uint16 labels, and metres, without holes and as measured.

    `normal` is what the fitted normals should be, if it is known.
    """

    image: AnyArray
    labels: AnyArray
    depth: AnyArray
    raw: AnyArray
    normal: AnyArray | None = None


def drawn(index: int) -> Labelled:
    """A scene of `rooms`, with a hole in its measured depth."""
    scene = render(0, index, NATIVE)
    assert scene.semantic is not None
    assert scene.depth is not None
    raw = scene.depth.copy()
    raw[100:200, 300:400] = 0
    return Labelled(
        np.round(scene.image * 255).astype(np.uint8), LABEL_OF_CLASS[scene.semantic + 1], scene.depth, raw, scene.normal
    )


def photographed(shared: Path, split: str, index: int) -> Labelled:
    """A scene of the real data set, enlarged from 288x384."""
    folder = shared / "data/nyuv2" / split

    def read(name: str) -> AnyArray:
        return nearest(np.asarray(Image.open(folder / name)), NATIVE)

    labels = read(f"label/{index}.png")
    depth = (read(f"depth8/{index}.png").astype(np.float32) + np.float32(0.5)) * np.float32(10 / 255)
    return Labelled(read(f"image/{index}.jpg"), LABEL_OF_CLASS[np.where(labels == 255, 0, labels + 1)], depth, depth)


def write_labelled(path: Path, scenes: Sequence[Labelled], without: Sequence[str] = (), **replaced: AnyArray) -> Path:
    """Write the arrays of the real file, but for its metadata of raw frames; axes are in reverse order.

    Args:
        path: The file.
        scenes: What is in it.
        without: Arrays to leave out.
        **replaced: Arrays to write instead of those of the scenes.
    """
    arrays = {
        "images": np.stack([one.image.transpose(2, 1, 0) for one in scenes]),
        "depths": np.stack([one.depth.T for one in scenes]),
        "rawDepths": np.stack([one.raw.T for one in scenes]),
        "labels": np.stack([one.labels.T for one in scenes]),
        "instances": np.stack([(one.labels.T > 0).astype(np.uint8) for one in scenes]),
        **replaced,
    }
    kinds = {np.uint8: "uint8", np.uint16: "uint16", np.float32: "single"}
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in arrays.items():
            if name not in without:
                # MATLAB compresses in chunks of its own choice, which may have parts of several images.
                chunks = (min(2, len(values)), *(min(160, side) for side in values.shape[1:]))
                stored = file.create_dataset(name, data=values, chunks=chunks, compression="gzip", compression_opts=1)
                stored.attrs["MATLAB_class"] = np.bytes_(kinds.get(values.dtype.type, "double"))
        names = [f"object {number}" for number in range(1, 895)]
        references = file.create_dataset("names", (1, len(names)), h5py.ref_dtype)
        references.attrs["MATLAB_class"] = np.bytes_("cell")
        for column, text in enumerate(names):
            cell = file.create_dataset(f"#refs#/{column}", data=np.array([[ord(sign)] for sign in text], np.uint16))
            cell.attrs["MATLAB_class"] = np.bytes_("char")
            cell.attrs["MATLAB_int_decode"] = np.int32(2)
            references[0, column] = cell.ref
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Sun Oct 14 19:01:11 2012 HDF5 schema 1.00 ."
    with path.open("r+b") as plain:
        plain.write(header.ljust(116) + bytes(8) + struct.pack("<H", 0x0200) + b"IM")
    return path


def write_splits(path: Path, train: Sequence[int], test: Sequence[int]) -> Path:
    """Write a file like splits.mat, MATLAB v5."""
    content: Mapping[str, Any] = {
        "trainNdxs": np.array(train, np.uint16)[:, None],
        "testNdxs": np.array(test, np.uint16)[:, None],
    }
    savemat(path, dict(content), appendmat=False)
    return path
