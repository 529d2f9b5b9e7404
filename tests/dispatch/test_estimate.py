import json
import os
from pathlib import Path

import pytest

from rdc_sweeps.cli.dry_run import summary
from rdc_sweeps.dispatch.estimate import Estimate, estimates
from rdc_sweeps.dispatch.plan import Planned, plan
from rdc_sweeps.dispatch.speeds import speeds_file
from rdc_sweeps.files import write_json
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Result, Status
from rdc_sweeps.runs.requests import request_run
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.catalogue import Catalogue
from tests.runs.writing import write_result, write_status

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
GPU = "NVIDIA A100-SXM4-80GB"


def planned(root: Path, *changes: str, seeds: tuple[int, ...] = (0,), row: str = "one-patch-vector") -> list[Planned]:
    runs = Catalogue(EXPERIMENTS).runs("table3", "demo", rows=[row], seeds=seeds, settings=changes)
    return plan(runs, root)


def finish(one: Planned, root: Path, *, seconds: float, device: str = GPU, threads: int = 1) -> None:
    """A run that took so long for its epochs."""
    directory = RunDirectory(root, one.run.id)
    request_run(directory, one.run.spec)
    directory.environment.write_text(json.dumps({"threads": threads}))
    epochs = one.run.spec.length.epochs
    write_result(
        directory,
        Result(run=one.run.id, selected={}, epochs=epochs, images=1, parameters=1, seconds=seconds, device=device),
    )


def settings(root: Path, **values: object) -> Settings:
    return Settings(**{"root": root, "cache_root": root / "cache", **values})  # type: ignore[arg-type]


def test_nothing_is_claimed_of_what_was_never_measured(tmp_path: Path) -> None:
    todo = planned(tmp_path)
    assert estimates(todo, settings(tmp_path)) == {}
    assert summary(todo, {}) == [
        "1 runs: 1 new",
        "1 of 1 runs to do, 64 steps",
        "no estimate for 1 runs: this runs folder has no similar finished runs",
    ]


@pytest.mark.parametrize(
    ("changes", "factor"),
    [
        ((), 1.0),
        (("training.epochs=8",), 2.0),
        (("training.epochs=null", "training.iterations=24"), 1.5 / 4),
        (("method.weight=0.3", "training.network.learning_rate=0.01", "method.contrast.temperature=2.5"), 1.0),
        (("backbone.pretrained={source: timm}",), 1.0),
        (("training.batch_size=2",), None),
        (("dataset.size=[64, 96]",), None),
        (("dataset.train_images=32",), None),
        (("backbone={name: segnet}",), None),
        (("method.contrast={name: gaussian}",), None),
    ],
)
def test_runs_that_differ_in_weights_and_rates_take_as_long(
    tmp_path: Path, changes: tuple[str, ...], factor: float | None
) -> None:
    finish(planned(tmp_path)[0], tmp_path, seconds=7200)
    (todo,) = planned(tmp_path, *changes, seeds=(1,))
    found = estimates([todo], settings(tmp_path))
    if factor is None:
        assert found == {}
    else:
        assert found == {todo.run.id: Estimate(7200 * factor, 2 * factor, GPU, 1)}


def test_done_runs_count_for_nothing_and_on_a_cpu_cores_are_counted(tmp_path: Path) -> None:
    for one, seconds in zip(planned(tmp_path, seeds=(0, 1, 2)), (3600, 7200, 36000), strict=True):
        finish(one, tmp_path, seconds=seconds, device="cpu", threads=4)
    todo = planned(tmp_path, seeds=(0, 1, 2, 3, 4))
    found = estimates(todo, settings(tmp_path))
    assert [one.hours for one in found.values()] == [8.0, 8.0]
    assert summary(todo, found) == [
        "5 runs: 3 done, 2 new",
        "2 of 5 runs to do, 128 steps",
        "about 16 core-hours on cpu for 2 runs, estimated from similar runs",
    ]


def test_a_run_in_progress_tells_too_and_a_resumed_one_has_only_its_rest_before_it(tmp_path: Path) -> None:
    begun, other = planned(tmp_path, seeds=(0, 1))
    directory = RunDirectory(tmp_path, begun.run.id)
    request_run(directory, begun.run.spec)
    told = {"device": GPU, "epoch": 1, "epochs": 4, "step": 16, "steps": 64, "rate": 0.5}
    write_status(directory, Status.of_this_process("preempted").model_copy(update=told))
    directory.checkpoint.parent.mkdir()
    directory.checkpoint.touch()
    found = estimates(planned(tmp_path, seeds=(0, 1)), settings(tmp_path))
    assert found[other.run.id].seconds == 128
    assert found[begun.run.id].seconds == 96
    # Before the first evaluation the speed is not that of an epoch.
    write_status(directory, Status.of_this_process("preempted").model_copy(update={**told, "epoch": 0}))
    assert estimates(planned(tmp_path, seeds=(1,)), settings(tmp_path)) == {}


def test_a_run_tells_by_its_whole_epochs(tmp_path: Path) -> None:
    (less,) = planned(tmp_path, "training.epochs=null", "training.iterations=10", seeds=(1,))
    finish(less, tmp_path, seconds=100)
    todo = planned(tmp_path)
    assert estimates(todo, settings(tmp_path)) == {}, "most of its time was an evaluation"
    (more,) = planned(tmp_path, "training.epochs=null", "training.iterations=24", seeds=(1,))
    finish(more, tmp_path, seconds=150)
    assert [one.seconds for one in estimates(todo, settings(tmp_path)).values()] == [400]


def test_only_devices_that_the_runs_can_use_count(tmp_path: Path) -> None:
    laptop, node = planned(tmp_path, seeds=(0, 1))
    finish(laptop, tmp_path, seconds=360, device="cpu")
    todo = planned(tmp_path, seeds=(2,))
    assert estimates(todo, settings(tmp_path, device="cuda")) == {}
    finish(node, tmp_path, seconds=36)
    assert {one.device for one in estimates(todo, settings(tmp_path, device="cuda")).values()} == {GPU}
    assert {one.device for one in estimates(todo, settings(tmp_path, device="cpu")).values()} == {"cpu"}


def test_damaged_neighbours_are_passed_over(tmp_path: Path) -> None:
    (one,) = planned(tmp_path)
    finish(one, tmp_path, seconds=36)
    for name, spec in (("a", "{"), ("b", "[1]"), ("c", "dataset: 3")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "spec.yaml").write_text(spec)
    (tmp_path / "file").touch()
    assert len(estimates(planned(tmp_path, seeds=(1,)), settings(tmp_path))) == 1


def benchmark(root: Path, one: Planned, *, seconds: float, device: str = GPU, name: str = "made") -> Path:
    """What a benchmark writes, with fields that nothing reads."""
    file = speeds_file(root, name)
    speeds = [{"spec": one.run.spec.model_dump(mode="json"), "seconds": seconds, "step": {"seconds": 1.0}}]
    packages = {"torch": "2.14.1"}
    write_json(file, {"device": device, "threads": 2, "packages": packages, "speeds": speeds, "loss": []})
    return file


def test_a_benchmark_counts_where_no_run_of_the_kind_was_measured(tmp_path: Path) -> None:
    runs, cache = tmp_path / "runs", tmp_path / "cache"
    (measured,) = planned(runs)
    (other,) = planned(runs, "training.batch_size=2")
    benchmark(cache, measured, seconds=3600)
    todo = [*planned(runs, "method.weight=0.3", seeds=(1, 2)), other]
    found = estimates(todo, settings(runs, cache_root=cache))
    epochs = measured.run.spec.length.epochs
    assert list(found.values()) == [Estimate(3600.0 * epochs, epochs, GPU, 0)] * 2
    assert summary(todo, found)[-2:] == [
        f"about {2 * epochs} GPU-hours on {GPU} for 2 runs, estimated from a benchmark",
        "no estimate for 1 runs: this runs folder has no similar finished runs",
    ]
    finish(measured, runs, seconds=60)
    found = estimates(planned(runs, seeds=(1,)), settings(runs, cache_root=cache))
    assert [(one.seconds, one.measured) for one in found.values()] == [(60, 1)], "runs count more than a benchmark"


def test_a_benchmark_counts_on_its_device_only_and_the_last_one_first(tmp_path: Path) -> None:
    (one,) = planned(tmp_path)
    old = benchmark(tmp_path, one, seconds=10, device="cpu", name="a")
    benchmark(tmp_path, one, seconds=1, name="b")
    os.utime(old, (0, 0))

    def devices(**values: object) -> set[str]:
        return {found.device for found in estimates([one], settings(tmp_path, cache_root=tmp_path, **values)).values()}

    assert devices() == devices(device="cuda") == {GPU}
    assert devices(device="cpu") == {"cpu"}
    os.utime(old)
    assert devices() == {"cpu"}
    (found,) = estimates([one], settings(tmp_path, cache_root=tmp_path)).values()
    assert found.hours == found.seconds * 2 / 3600, "core-hours"


@pytest.mark.parametrize("text", ["{", "[]", '{"device": "cpu"}', None, '{"seconds": -1}', '{"seconds": NaN}'])
def test_a_damaged_benchmark_is_passed_over(text: str | None, tmp_path: Path) -> None:
    (one,) = planned(tmp_path)
    file = benchmark(tmp_path, one, seconds=10)
    if text is not None and "seconds" in text:
        file.write_text(file.read_text().replace('"seconds": 10', text[1:-1]))
    elif text is None:
        file.unlink()
        file.mkdir()
    else:
        file.write_text(text)
    assert estimates([one], settings(tmp_path, cache_root=tmp_path)) == {}
