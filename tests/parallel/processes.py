"""The same function in several processes that are one group, and what each returns."""

import multiprocessing
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from rdc_sweeps.parallel.place import Place


def in_group(size: int, function: Callable[..., Any], *arguments: Any, on_gpus: bool = False) -> list[Any]:
    """Results by rank of `function(*arguments)`, a function of a module, in `size` processes of one thread.

    On GPUs, each process has one of them.
    """
    # A forked process cannot use a GPU that its parent has used.
    context: Any = multiprocessing.get_context("spawn" if on_gpus else "fork")
    with tempfile.TemporaryDirectory() as folder:
        places = [Place(rank, size, Path(folder), on_gpus=on_gpus, threads=1) for rank in range(size)]
        outputs = [Path(folder) / f"{rank}.pt" for rank in range(size)]
        processes = [
            context.Process(target=_enter, args=(place, output, function, arguments))
            for place, output in zip(places, outputs, strict=True)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(600)
            process.kill()
        assert [process.exitcode for process in processes] == [0] * size
        return [torch.load(output, weights_only=False) for output in outputs]


def _enter(place: Place, output: Path, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    with place.joined():
        torch.save(function(*arguments), output)
