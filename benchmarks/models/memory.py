"""Peak memory of training steps of TaskExpert at 288x384, measured or, without allocating anything, simulated.

`python -m benchmarks.models.memory tiny 4` runs two steps on the CPU and reads the process's peak. With `--simulate`
the tensors have no content, and the allocations are added up instead; so ViT-L needs neither memory nor a GPU.
"""

import argparse
import resource

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker

from rdc_sweeps.models.network import MultiTaskNetwork
from rdc_sweeps.models.registry import build_network
from rdc_sweeps.specs.backbone import NoWeights, TaskExpertSpec
from rdc_sweeps.specs.base import Task

TASKS: tuple[Task, ...] = ("semantic", "depth", "normal")
CLASSES, SIZE = 13, (288, 384)
GIB = 2**30
STEPS = range(2)
"""Number of steps; the second has Adam's moments from its start."""


def build(spec: TaskExpertSpec) -> MultiTaskNetwork:
    return build_network(spec, TASKS, CLASSES, weights_root=None)


def step(network: MultiTaskNetwork, optimiser: torch.optim.Optimizer, images: int, *, bfloat16: bool) -> None:
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        predictions = network(torch.rand(images, 3, *SIZE))
    torch.autograd.backward(torch.stack([maps.float().square().mean() for maps in predictions.values()]).sum())
    optimiser.step()
    optimiser.zero_grad()


def measured(spec: TaskExpertSpec, images: int, *, bfloat16: bool) -> float:
    """Growth of the process's peak memory in two steps, GiB; code and libraries are loaded before."""
    small = build(TaskExpertSpec(vit="tiny", width=8, pretrained=NoWeights()))
    step(small, torch.optim.Adam(small.parameters()), 1, bfloat16=bfloat16)
    before = _peak()
    network = build(spec)
    optimiser = torch.optim.Adam(network.parameters())
    for _ in STEPS:
        step(network, optimiser, images, bfloat16=bfloat16)
    return _peak() - before


def simulated(spec: TaskExpertSpec, images: int, *, bfloat16: bool) -> float:
    """Maximum total size of all tensors during two steps, GiB."""
    with torch.device("meta"):
        network = build(spec)
    with FakeTensorMode():
        _allocate(network)
        optimiser = torch.optim.Adam(network.parameters(), foreach=False)
        tracker = MemTracker()
        tracker.track_external(network, optimiser)
        with tracker:
            for _ in STEPS:
                step(network, optimiser, images, bfloat16=bfloat16)
                tracker.reset_mod_stats()
    return sum(kinds["Total"] for kinds in tracker.get_tracker_snapshot("peak").values()) / GIB


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB


def _allocate(network: nn.Module) -> None:
    for module in network.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            setattr(module, name, nn.Parameter(torch.empty(parameter.shape)))
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, torch.empty(buffer.shape, dtype=buffer.dtype))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vit", choices=["tiny", "large"])
    parser.add_argument("images", type=int, help="images per step, over both views")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--simulate", action="store_true")
    options = parser.parse_args()
    spec = TaskExpertSpec(
        vit=options.vit, width=options.width, checkpointing=options.checkpointing, pretrained=NoWeights()
    )
    peak = (simulated if options.simulate else measured)(spec, options.images, bfloat16=options.bfloat16)
    print(f"{'simulated' if options.simulate else 'measured'}: {peak:.2f} GiB for {spec.vit}, {options.images} images")


if __name__ == "__main__":
    main()
