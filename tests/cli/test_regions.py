import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Inside
from tests.dispatch.slurm.scheduler import Scheduler

FOLDER = ("--generator", "superpixel", "--images", "photos", "--set", "regions.segments=9")
ROOMS = (
    "-g", "superpixel", "--dataset", "rooms", "--set", "dataset.train_images=5", "--set", "dataset.size=[32, 64]",
    "--set", "regions.algorithm=merged",
)  # fmt: skip


@pytest.fixture(autouse=True)
def photos(environment: dict[str, str], tmp_path: Path) -> Path:
    """A folder of images of several sizes, and a cache without maps."""
    environment["RDC_SWEEP_CACHE_ROOT"] = str(tmp_path / "cache")
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 256, (24 + number, 40, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def test_maps_of_a_folder_are_built_once(inside: Inside) -> None:
    first = inside("regions", "build", *FOLDER)
    assert first.code == 0, first.err
    assert "superpixel regions of photos: 4 built, 0 already stored" in first.err
    assert "0 built, 4 already stored" in inside("regions", "build", *FOLDER).err


def test_shards_share_the_images_of_a_data_set(inside: Inside) -> None:
    assert "2 built, 0 already stored" in inside("regions", "build", *ROOMS, "--shard", "1/2").err
    (found,) = json.loads(inside("regions", "stats", *ROOMS, "--json").out)
    assert (found["images"], found["with_map"]) == (5, 2)
    assert "3 built, 2 already stored" in inside("regions", "build", *ROOMS).err


def test_a_shard_of_a_table(inside: Inside) -> None:
    assert "4 built, 0 already stored" in inside("regions", "build", "tiny", "--shard", "0/2").err


def test_a_task_of_an_array_knows_its_shard(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    assert "1 built" in inside("regions", "build", *FOLDER, "--shard", "task/4").err


def test_statistics_compare_maps_with_labels(inside: Inside) -> None:
    inside("regions", "build", *ROOMS)
    (found,) = json.loads(inside("regions", "stats", *ROOMS, "--json", "--min-pixels", "20").out)
    assert found["images"] == found["with_map"] == found["labels"]["images"] == 5
    assert 20 < found["regions_per_image"]["mean"] <= found["regions_per_image"]["max"] <= 60
    assert found["coverage"]["min"] == 1
    assert found["small"]["below_pixels"] == 20
    assert 0.8 < found["labels"]["achievable_segmentation_accuracy"] < 1
    printed = inside("regions", "stats", *ROOMS).out
    assert "achievable segmentation accuracy" in printed
    assert "regions per image" in printed


def test_statistics_are_drawn(inside: Inside, tmp_path: Path) -> None:
    inside("regions", "build", *FOLDER)
    done = inside("regions", "stats", *FOLDER, "--output", "out", "--show", "2")
    assert done.code == 0, done.err
    assert "labels" not in done.out
    for name in ("histograms.png", "images.png"):
        with Image.open(tmp_path / "out" / name) as picture:
            assert picture.width > 300
    assert json.loads(inside("regions", "stats", *FOLDER, "--json").out)[0]["labels"] is None


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("build",), "name a table"),
        (("build", "tiny", "-g", "superpixel"), "name a table"),
        (("build", "tiny", "--images", "photos"), "--images are for --generator"),
        (("build", "-g", "superpixel"), "needs the images"),
        (("build", *FOLDER, "--dataset", "rooms"), "needs the images"),
        (("build", "-g", "superpixle", "--images", "photos"), "did you mean 'superpixel'"),
        (("build", "-g", "semantic", "--images", "photos"), "not computed from images"),
        (("build", "-g", "sam", "--images", "photos"), "RDC_SWEEP_WEIGHTS_ROOT"),
        (("build", "-g", "superpixel", "--images", "elsewhere"), "no images"),
        (("build", *FOLDER, "--set", "regions.segment=3"), "did you mean 'segments'"),
        (("build", *FOLDER, "--shard", "4/4"), "0/4 to 3/4"),
        (("build", *FOLDER, "--shard", "-1/4"), "write it as 0/8"),
        (("build", *FOLDER, "--shard", "0/0"), "0/0"),
        (("build", *FOLDER, "--shard", "task/4"), "task of a Slurm array"),
        (("build", *FOLDER, "--shards", "4"), "--executor slurm"),
        (("build", *FOLDER, "--executor", "slurm"), "--shards N"),
        (("build", *FOLDER, "--shards", "4", "--shard", "0/4"), "use one of them"),
        (("build", *FOLDER, "--device", "cuda"), "no GPU"),
        (("stats", *FOLDER), "no map of any of the 4 images"),
    ],
)
def test_what_cannot_be_done(inside: Inside, arguments: tuple[str, ...], problem: str, tmp_path: Path) -> None:
    refused = inside("regions", *arguments)
    assert refused.code != 0
    assert problem in " ".join(refused.err.split())
    assert "Traceback" not in refused.err
    assert not list((tmp_path / "cache").rglob("*.npz"))


SLURM = ("--executor", "slurm", "--node", "cpu")


@pytest.fixture
def scheduler(environment: dict[str, str], tmp_path: Path) -> Scheduler:
    scheduler = Scheduler(tmp_path / "scheduler")
    environment["PATH"] = scheduler.path
    return scheduler


def test_jobs_of_an_array_share_the_images(scheduler: Scheduler, inside: Inside, tmp_path: Path) -> None:
    done = inside("regions", "build", *FOLDER, *SLURM, "--shards", "3")
    assert done.code == 0, done.err
    (job,) = scheduler.jobs().values()
    assert f"submitted 3 jobs that share the images, as Slurm job {next(iter(scheduler.jobs()))}" in done.err
    assert job["options"]["array"] == "0-2%3"
    text = Path(job["file"]).read_text()
    assert f"regions build --generator superpixel --set regions.segments=9 --images {tmp_path / 'photos'}" in text
    assert "--shard task/3 --settings" in text
    assert not list((tmp_path / "cache").rglob("*.npz"))
    assert (
        "Slurm already has jobs for these maps: 0 running, 3 pending"
        in inside("regions", "build", *FOLDER, *SLURM, "--shards", "3").err
    )
    inside("regions", "build", *FOLDER, *SLURM, "--shards", "3", "--set", "regions.sigma=2")
    assert len(scheduler.jobs()) == 2


def test_a_job_of_a_table_is_described_without_it(scheduler: Scheduler, inside: Inside) -> None:
    done = inside("regions", "build", "tiny", *SLURM, "--shards", "2")
    assert done.code == 0, done.err
    (job,) = scheduler.jobs().values()
    text = Path(job["file"]).read_text()
    assert "--generator superpixel" in text
    assert "--dataset rooms" in text
    assert "tiny" not in text.split("rdc_sweeps regions", 1)[1].splitlines()[0]


def test_nothing_is_submitted_if_weights_are_missing(scheduler: Scheduler, inside: Inside) -> None:
    refused = inside("regions", "build", "-g", "sam", "--images", "photos", *SLURM, "--shards", "2")
    assert refused.code != 0
    assert "RDC_SWEEP_WEIGHTS_ROOT" in refused.err
    assert scheduler.jobs() == {}


@pytest.mark.slow
def test_the_tasks_of_an_array_build_all_maps(scheduler: Scheduler, inside: Inside, tmp_path: Path) -> None:
    inside("regions", "build", *FOLDER, *SLURM, "--shards", "2")
    (number,) = scheduler.jobs()
    for task in (0, 1):
        assert scheduler.execute(number, task) == 0
    assert len(list((tmp_path / "cache").rglob("*.npz"))) == 4
    assert "0 built, 4 already stored" in inside("regions", "build", *FOLDER).err
