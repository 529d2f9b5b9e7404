"""The benchmark of a training step: its parts are the step, sizes are read, and the tables stand in the page."""

from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.gpu.training import random_batch
from benchmarks.step import __main__ as benchmark
from benchmarks.step.measure import Size
from benchmarks.step.ours import OurStep
from benchmarks.step.released import ReleasedStep
from rdc_sweeps.errors import UsageError

SMALL = Size("cpu", 2, 4)


@pytest.fixture
def step() -> OurStep:
    spec = SMALL.spec(["dataset.size=[64, 64]"])
    return OurStep(spec, random_batch(spec, 0, SMALL.regions))


def gradients(step: OurStep) -> dict[str, torch.Tensor]:
    return {name: value.grad.clone() for name, value in step.learner.named_parameters() if value.grad is not None}


def test_a_step_in_parts_has_the_gradients_of_the_whole(step: OurStep, monkeypatch: pytest.MonkeyPatch) -> None:
    step.learner.double()
    monkeypatch.setattr(step.optimizer, "step", lambda: None)
    step()
    whole = gradients(step)
    parts = step.parts()
    assert list(parts)[::7] == ["network forward", "optimizer"]
    found = gradients(step)
    assert found.keys() == whole.keys()
    apart = torch.cat([(found[name] - value).flatten() for name, value in whole.items()])
    assert apart.norm() < 1e-4 * torch.cat([value.flatten() for value in whole.values()]).norm()


def test_the_released_step_learns_from_the_same_batch(step: OurStep) -> None:
    released = ReleasedStep(step.learner, step.batch)
    before = {name: value.detach().clone() for name, value in released.training.network.items()}
    released()
    changed = [name for name, value in released.training.network.items() if not torch.equal(value, before[name])]
    assert any(name.endswith("weight") for name in changed)
    # Its contrast has no gradient, and a_theta none from elsewhere.
    assert all(value.grad is None for value in released.training.a_theta.values())


def test_sizes_are_read() -> None:
    assert Size.of("paper:2:30") == Size("paper", 2, 30)
    with pytest.raises(UsageError, match="PROFILE:IMAGES:REGIONS"):
        Size.of("paper:2")


def test_other_sizes_of_the_file_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(size: Size, *_: Any) -> dict[str, Any]:
        return {
            "seconds": {"ours": 0.5 * size.images, "released": 1.0},
            "ours to released": 0.5 * size.images,
            "contrast": 0.25,
            "parts": {"network forward": 0.1},
            "loading": 0.003,
            "metrics": 0.002,
            "peak": {"ours": 2**20, "released": 2**21},
        }

    monkeypatch.setattr(benchmark, "measured", made)
    page, stored = tmp_path / "page.md", tmp_path / "step.json"
    page.write_text("before\n<!-- step -->\nold\n<!-- end of step -->\nafter\n")
    for size in ("cpu:1:30", "cpu:2:30"):
        benchmark.main(["--sizes", size, "--json", str(stored), "--page", str(page)])
    lines = page.read_text().splitlines()
    assert "| cpu:1:30 | 1.00 | 0.50 | 0.50 | 25 % | 2 MiB | 1 MiB |" in lines
    assert "| cpu:2:30 | 1.00 | 1.00 | 1.00 | 25 % | 2 MiB | 1 MiB |" in lines
    assert "| network forward | 100 | 100 |" in lines
    assert lines[-1] == "after"
