"""Digests of scenes."""

import hashlib

import numpy as np

from rdc_sweeps.data.scene import Scene


def digest(scene: Scene) -> str:
    """SHA-256 of the image and of the labels that the scene has."""
    content = hashlib.sha256()
    for array in (scene.image, scene.semantic, scene.depth, scene.normal):
        if array is not None:
            content.update(np.ascontiguousarray(array).tobytes())
    return content.hexdigest()
