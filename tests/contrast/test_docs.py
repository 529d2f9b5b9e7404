from __future__ import annotations

import re
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
