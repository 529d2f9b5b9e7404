"""`python -m benchmarks.gpu [PART...] [--device cpu] [--small] [--price 2.5]`: measure, print, and store."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu import distances, loading, loss, tables, training
from benchmarks.gpu.tabulate import table, wide_console
from rdc_sweeps.contrast import kernel_choice
from rdc_sweeps.dispatch.speeds import Speed, speeds_file
from rdc_sweeps.errors import RdcError, UsageError
from rdc_sweeps.files import write_json
from rdc_sweeps.settings import Settings, experiments_folder, load_settings
from rdc_sweeps.specs.catalogue import Catalogue, Run

PARTS = ("distances", "loss", "steps", "loading", "tables")
BATCH = 10
"""Images of the steps of the part `steps`, as in the paper."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the named parts, or all."""
    parser = argparse.ArgumentParser(description="What trainings cost on a device.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--small", action="store_true", help="profile demo, few sizes and repeats: whether it works")
    parser.add_argument("--profile", help="of the runs (default: paper)")
    parser.add_argument("--tables", help="names, with commas (default: those of the paper)")
    parser.add_argument("--seeds", type=int, default=5, help="seeds of every row (default: 5)")
    parser.add_argument("--price", type=float, help="of an hour of the device")
    parser.add_argument("--workers", default="0,8", help="numbers of loading processes, with commas (default: 0,8)")
    parser.add_argument("--json", type=Path, help="store the measurements here (default: where dry runs look for them)")
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    try:
        _run(options)
    except RdcError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _run(options: argparse.Namespace) -> None:
    if options.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("no GPU can be used here; --device cpu --small shows whether the benchmark works")
    device, settings = torch.device(options.device), load_settings()
    console = wide_console()
    catalogue = Catalogue(experiments_folder(settings))
    profile = options.profile or ("demo" if options.small else "paper")
    names = (
        options.tables.split(",") if options.tables else [one for one in catalogue.tables if catalogue.table(one).paper]
    )
    runs = tables.runs_of(catalogue, names, profile)
    results = _machine(device) | {"small": options.small, "profile": profile}
    measure = _Measurements(device, settings, runs, options)
    for part in options.parts or PARTS:
        results[part] = measure.measure(part, console.print)
        console.print(table(part, results[part]))
    results["speeds"] = [one.model_dump() for one in measure.speeds]
    target = options.json or (speeds_file(settings.cache_root, results["device"]) if measure.speeds else None)
    if target is not None:
        write_json(target, results)
        console.print(f"wrote {target}")


class _Measurements:
    """The parts, by their names; what one measures may count in another."""

    def __init__(
        self, device: torch.device, settings: Settings, runs: dict[str, list[Run]], options: argparse.Namespace
    ) -> None:
        self.device, self.settings, self.runs, self.options = device, settings, runs, options
        self.small: bool = options.small
        self.repeats = 1 if self.small else 10
        self.images_per_second = float("inf")
        self.speeds: list[Speed] = []
        contrasted = [run for of in runs.values() for run in of if run.spec.method.name == "region_contrast"]
        self.contrasted = {run.spec.backbone.name: run for run in contrasted}
        """Of each backbone, a row of region contrast."""

    def measure(self, part: str, said: Callable[[str], object]) -> list[dict[str, Any]]:
        """The rows of a part."""
        # The parts below `distances` do as a training does.
        kernel_choice.configure(self.settings.fused_kernel, self.settings.cache_root / "kernels")
        match part:
            case "distances":
                return distances.run(self.device, self.small)
            case "loss":
                return loss.run(self.device, self.small)
            case "steps":
                return [self._step(name, run) for name, run in self.contrasted.items()]
            case "loading":
                return self._loading()
            case _:
                self.speeds = tables.speeds(self.runs, self.device, self.repeats, self.images_per_second, said)
                return tables.hours(self.runs, self.speeds, self.options.seeds, self.options.price)

    def _step(self, backbone: str, run: Run) -> dict[str, Any]:
        own = run.spec.training.model_copy(update={"batch_size": 2 if self.small else BATCH})
        found = training.costs(run.spec.model_copy(update={"training": own}), self.device, self.repeats)
        step = None if found is None else found[0]
        return {
            "backbone": backbone,
            "row": run.title,
            "images": own.batch_size,
            "s a step": step and step.seconds,
            "images/s": step and own.batch_size / step.seconds,
            "peak GiB": step and step.gib,
        }

    def _loading(self) -> list[dict[str, Any]]:
        if not self.contrasted:
            raise UsageError("loading: none of these tables has a row of region contrast, whose views would be loaded")
        spec = next(iter(self.contrasted.values())).spec
        workers = [int(number) for number in self.options.workers.split(",")]
        rows = loading.run(spec, self.settings, workers, small=self.small)
        self.images_per_second = max(row["images/s"] for row in rows)
        return rows


def _machine(device: torch.device) -> dict[str, Any]:
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "packages": {"torch": torch.__version__, "cuda": torch.version.cuda or "", "python": platform.python_version()},
    }


if __name__ == "__main__":
    main()
