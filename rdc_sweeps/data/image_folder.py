"""The images in a folder, each at its own size."""

from pathlib import Path

from rdc_sweeps.data.arrays import Stored, image_of
from rdc_sweeps.data.importing.pixels import read_pixels, rgb
from rdc_sweeps.data.scene import Floats
from rdc_sweeps.errors import DataError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy"})


class ImageFolder:
    """The image files in a folder and those below it, in the order of their names.

    Raises:
        DataError: There are none.
    """

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
        if not self.paths:
            raise DataError(f"{folder}: has no images; name a folder of {', '.join(sorted(SUFFIXES))} files")

    def __len__(self) -> int:
        return len(self.paths)

    def image(self, index: int) -> Floats:
        """Image (H, W, 3) in [0, 1].

        Raises:
            DataError: The file is damaged, or no image.
        """
        path = self.paths[index]
        values = rgb(read_pixels(path, colours=True), str(path))
        height, width = values.shape[:2]
        return image_of(Stored(path, values), (height, width))
