"""The benchmark of a device, on the CPU and at the smallest sizes; and what a dry run makes of it."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks.gpu import __main__ as benchmark
from benchmarks.gpu import distances, tables, training
from benchmarks.gpu.timing import Cost, cost
from rdc_sweeps.dispatch.estimate import estimates
from rdc_sweeps.dispatch.plan import plan
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.specs.run import RunSpec
from tests.devices import CUDA


@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_a_dry_run_knows_what_was_measured(device: str, experiments: Path, tmp_path: Path) -> None:
    arguments = ["loading", "tables", "--device", device, "--small", "--profile", "tiny", "--workers", "0"]
    benchmark.main([*arguments, "--price", "2", "--seeds", "3"])
    (file,) = (tmp_path / "cache" / "speeds").iterdir()
    stored = json.loads(file.read_text())
    assert [(row["table"], row["trainings"], row["measured"]) for row in stored["tables"]] == [
        ("tiny", 2, 2), ("all", 2, 2),
    ]  # fmt: skip
    hours = stored["tables"][-1]["hours"]
    assert stored["tables"][-1]["price"] == pytest.approx(2 * 3 * hours)
    assert stored["packages"]["torch"] == torch.__version__

    runs = Catalogue(experiments).runs("tiny", "tiny", seeds=[7])
    settings = Settings(root=tmp_path / "runs", cache_root=tmp_path / "cache", device=device)
    found = estimates(plan(runs, settings.root), settings)
    assert len(found) == 2
    assert {(one.device, one.measured) for one in found.values()} == {(stored["device"], 0)}
    assert sum(one.seconds for one in found.values()) == pytest.approx(3600 * hours)


def test_an_epoch_is_as_long_as_its_steps_or_its_loading_and_its_evaluation(
    experiments: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = (Cost(2.0, 2**30), Cost(5.0, 0))
    monkeypatch.setattr(training, "costs", lambda *_: made)
    runs = tables.runs_of(Catalogue(experiments), ["tiny"], "tiny")
    said: list[str] = []
    # Two steps of four images, and twenty test images in batches of sixteen.
    for images_per_second, seconds in ((4.0, 2 * 2 + 2 * 5), (1.0, 2 * 4 + 2 * 5)):
        found = tables.speeds(runs, torch.device("cpu"), 1, images_per_second, said.append)
        assert [one.seconds for one in found] == [seconds] * 2
    assert said[1] == "2 of 2 kinds: segnet, region_contrast, randomlabels: 2 s a step, 1.00 GiB"
    assert said[3] == "2 of 2 kinds: segnet, region_contrast, randomlabels: 2 s a step (the loader is slower), 1.00 GiB"
    row = tables.hours(runs, found[:1], seeds=2, price=None)[0]
    assert (row["trainings"], row["measured"]) == (2, 1)
    assert row["hours of all seeds"] == pytest.approx(2 * 3 * found[0].seconds / 3600)


def test_what_does_not_fit_into_memory_is_left_out(experiments: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_large() -> None:
        raise torch.OutOfMemoryError

    assert cost(too_large, torch.device("cpu"), 1) is None
    monkeypatch.setattr(training, "costs", lambda *_: None)
    runs = tables.runs_of(Catalogue(experiments), ["tiny"], "tiny")
    said: list[str] = []
    assert tables.speeds(runs, torch.device("cpu"), 1, 1.0, said.append) == []
    assert said[0] == "1 of 2 kinds: segnet, supervised, onelabel: not enough memory"


@pytest.mark.parametrize("setting", ["onelabel", "randomlabels", "full"])
def test_random_batches_have_the_labels_of_their_setting(setting: str) -> None:
    fields = {"labels": {"setting": setting}, "dataset": {"name": "rooms", "size": [32, 64]}}
    batch = training.random_batch(RunSpec.model_validate({**fields, "training": {"batch_size": 6}}), 0)
    numbers = batch.granted.sum(1).tolist()
    assert numbers == {"onelabel": [1] * 6, "randomlabels": [1, 1, 1, 2, 2, 2], "full": [3] * 6}[setting]
    assert set(batch.granted.sum(0).tolist()) == {sum(numbers) // 3}
    for view in batch.views:
        for column, task in enumerate(("semantic", "depth", "normal")):
            withheld = view.labels[task][~batch.granted[:, column]]  # type: ignore[index]
            assert (withheld == (-1 if task == "semantic" else 0)).all()


@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_every_way_to_distances_is_measured(device: str) -> None:
    rows = distances.run(torch.device(device), small=True)
    ways = set(distances.WAYS) - ({"polar, fused kernel"} if device == "cpu" else set())
    assert {(row["d"], row["way"]) for row in rows} == {(d, way) for d in (16, 32) for way in ways}
    assert all(row["pairs/s"] > 0 for row in rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["distance"], "no part distance; there are distances, loss, steps, loading, tables"),
        (["steps", "--device", "cpu", "--profile", "tiny", "--tables", "table9"], "table9"),
        pytest.param([], "no GPU can be used", marks=pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU")),
    ],
)
def test_bad_arguments_have_an_error(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        benchmark.main(arguments)
    assert message in capsys.readouterr().err
