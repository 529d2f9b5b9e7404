from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import torch

DOCS = Path(__file__).parents[2] / "docs" / "contrast.md"


def test_the_example_for_ones_own_loop_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), flags=re.DOTALL)
    assert len(example.strip().splitlines()) <= 10
    model = torch.nn.Conv2d(3, 32, 16, stride=16)
    images = torch.rand(2, 3, 96, 128)
    names = {
        "predicted": model(images),
        "labelled": model(images.flip(1)),
        "region_maps": torch.randint(0, 9, (2, 48, 64)),
        "supervised_loss": torch.zeros(()),
    }
    exec(example, names)
    assert model.weight.grad is not None
    assert model.weight.grad.abs().max() > 0


def test_the_contrast_needs_of_this_project_what_the_page_says() -> None:
    code = "import sys, rdc_sweeps.contrast; print(*(name for name in sys.modules if name.startswith('rdc_sweeps.')))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    others = {name for name in loaded if not name.startswith("rdc_sweeps.contrast")}
    specs = {"rdc_sweeps.specs", *(f"rdc_sweeps.specs.{name}" for name in ("base", "contrast", "extensions"))}
    ground = {f"rdc_sweeps.{name}" for name in ("errors", "compiled", "processes", "processes.threads")}
    assert others == {*specs, *ground}
