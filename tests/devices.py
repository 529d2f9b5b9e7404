"""The devices that tests run on, and what stands in for a GPU where there is none.

A test of GPUs takes `device` as a parameter: CUDA, and a stand-in that runs everywhere. A tensor on `meta` has no
content, so whatever the host would read raises, and so does an operation on tensors of two devices.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rdc_sweeps.contrast import wasserstein

CUDA = pytest.param("cuda", marks=pytest.mark.cuda)
TWO_GPUS = pytest.param("cuda", marks=pytest.mark.cuda(gpus=2))

aten = torch.ops.aten


class Waited(AssertionError):
    """The host would have waited for the device."""


class _Copies(TorchDispatchMode):
    """Raises for copies from the CPU to the meta device for which a GPU would make the host wait."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        copied = func in (aten._to_copy.default, aten.copy_.default) and not kwargs.get("non_blocking", False)
        indexed = func in (aten.index.Tensor, aten.index_put.default, aten.index_put_.default)
        # What `torch.tensor` and `new_tensor` make of Python numbers.
        made = func is aten.lift_fresh.default
        devices = {one.device.type for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor) and one.dim()}
        if made or ((copied or indexed) and "cpu" in devices):
            to = {one.device.type for one in tree_leaves(result) if isinstance(one, Tensor)}
            if "meta" in to:
                raise Waited(f"{func} from {devices} to meta waits for what the device does")
        return result


@contextmanager
def without_waiting(device: str) -> Iterator[None]:
    """A context in which whatever makes the host wait for the device raises."""
    if device == "meta":
        with _Copies():  # type: ignore[no-untyped-call]
            yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def as_on_a_gpu(patch: pytest.MonkeyPatch) -> None:
    """Let the contrast on a CPU do what it does where it cannot look at values: all pairs, and a fixed schedule."""
    patch.setattr(wasserstein, "readable", lambda _: False)
