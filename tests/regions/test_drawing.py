import numpy as np

from rdc_sweeps.regions.drawing import draw_regions


def test_regions_are_drawn_in_their_mean_colour() -> None:
    image = np.zeros((6, 12, 3), np.float32)
    image[:, :6] = np.linspace(0, 1, 6)[:, None, None]
    image[:, 6:] = (1, 0, 0)
    ids = np.repeat([[0] * 6 + [7] * 6], 6, axis=0).astype(np.int32)
    drawn = draw_regions(image, ids)
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    assert (drawn[:, :5] == 128).all() or (drawn[:, :5] == 127).all()
    assert (drawn[:, 7:] == (255, 0, 0)).all()
    assert (drawn[:, 5:7] == 255).all()


def test_pixels_without_a_region_show_the_dimmed_image() -> None:
    image = np.full((8, 8, 3), 0.5, np.float32)
    ids = np.full((8, 8), -1, np.int32)
    assert 0 < draw_regions(image, ids).max() < 100
    ids[2:7, 2:7] = 0
    drawn = draw_regions(image, ids)
    assert (drawn[4, 4] == 128).all()
    assert (drawn[0] < 100).all()
