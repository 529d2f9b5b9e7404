import numpy as np
import pytest

from rdc_sweeps.regions.statistics import Agreement, MapStatistics
from rdc_sweeps.reporting.figures.region_maps import draw_histograms, draw_images
from rdc_sweeps.reporting.region_maps import MapsReport, region_tables

IMAGE = np.full((8, 12, 3), 0.5, np.float32)
REGIONS = np.zeros((8, 12), np.int32)


def report(*maps: MapStatistics, images: int = 3) -> MapsReport:
    return MapsReport("sam regions of nyuv2", "cache/sam-0", images, maps, 10, [(IMAGE, REGIONS)])


LABELLED = MapStatistics(np.array([50, 30, 4]), 100, Agreement(0.9, 0.2, 0.5))
BORDERLESS = MapStatistics(np.array([80, 16]), 100, Agreement(0.7, 0.4, None))
EMPTY = MapStatistics(np.array([], np.int64), 100)


def test_numbers_are_of_images_or_of_regions() -> None:
    found = report(LABELLED, BORDERLESS, EMPTY).to_data()
    assert (found["images"], found["with_map"], found["without_regions"]) == (3, 3, 1)
    assert found["regions_per_image"]["mean"] == pytest.approx(5 / 3)
    assert found["coverage"]["mean"] == pytest.approx((0.84 + 0.96) / 3)
    assert found["region_pixels"]["mean"] == pytest.approx(36)
    assert found["region_pixels"]["quantiles"]["0.5"] == 30
    assert found["small"] == {
        "below_pixels": 10, "share_of_regions": pytest.approx(0.2), "share_of_covered_pixels": pytest.approx(4 / 180),
    }  # fmt: skip
    assert found["labels"] == {
        "images": 2,
        "achievable_segmentation_accuracy": pytest.approx(0.8),
        "undersegmentation": pytest.approx(0.3),
        "boundary_recall": 0.5,
    }


def test_nothing_is_measured_of_what_is_not_there() -> None:
    found = report(EMPTY, images=1).to_data()
    assert found["labels"] is None
    assert found["region_pixels"] is None
    assert found["small"]["share_of_regions"] is None
    texts = [cell for table in region_tables(report(EMPTY, images=1)) for row in table.rows for cell in row]
    assert "-" in texts
    assert not any("achievable" in text for text in texts)
    assert len(draw_histograms(report(EMPTY)).axes) == 3


def test_missing_maps_are_named() -> None:
    (table, _) = region_tables(report(LABELLED))
    assert table.title == "sam regions of nyuv2: 3 images, 2 without a map"
    assert table.rows[0][:3] == ["regions per image", "3.0", "3.0"]
    assert region_tables(report(LABELLED, images=1))[0].title.endswith(": 1 images")


def test_figures_show_all_distributions_and_some_images() -> None:
    figure = draw_histograms(report(LABELLED, BORDERLESS))
    assert [axes.get_xlabel() for axes in figure.axes] == [
        "regions per image", "pixels of a region", "pixels in a region, %", "achievable segmentation accuracy, %",
    ]  # fmt: skip
    assert "1 regions" in [axes.get_title() for axes in draw_images(report(LABELLED)).axes]
