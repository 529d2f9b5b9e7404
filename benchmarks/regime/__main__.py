"""`python -m benchmarks.regime [RUN...]`: probe variants of the contrast on the networks of finished MTL runs."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

import rdc_sweeps
from benchmarks.pages import write_part
from benchmarks.regime.page import regime_text
from benchmarks.regime.records import Measured, read_regime, write_regime
from benchmarks.regime.variants import ROW, VARIANTS, Variant
from rdc_sweeps.errors import RdcError
from rdc_sweeps.runs.directory import find_run
from rdc_sweeps.settings import load_settings

DOCS = Path(__file__).parents[2] / "docs"


def main(arguments: Sequence[str] | None = None, docs: Path = DOCS) -> None:
    """Measure what has not been measured of the variants, store each at once, and write the page from all."""
    parser = argparse.ArgumentParser(description="Probe variants of the contrast, a_theta trained afresh for each.")
    parser.add_argument("runs", nargs="*", metavar="RUN", help="ids of runs of the row findings/one-mtl")
    parser.add_argument("--root", type=Path, help="runs folder, only read (default: the setting `root`)")
    parser.add_argument("--profile", default="cpu", help="profile of the runs (default: cpu)")
    groups = list(dict.fromkeys(variant.group for variant in VARIANTS))
    parser.add_argument("--only", nargs="+", choices=groups, help="groups of variants (default: all)")
    parser.add_argument("--refit", type=int, default=200, help="training steps of a_theta (default: 200)")
    parser.add_argument("--images", type=int, default=96, help="training images to probe (default: 96)")
    parser.add_argument("--store", type=Path, help="JSON of the results (default: docs/findings/regime.json)")
    options = parser.parse_args(arguments)
    options.store = options.store or docs / "findings" / "regime.json"
    torch.set_num_threads(1)
    chosen = [variant for variant in VARIANTS if options.only is None or variant.group in options.only]
    try:
        for run in [find_run(load_settings(root=options.root).root, prefix).id for prefix in options.runs]:
            for variant in chosen:
                _measure(variant, run, options)
        write_part(docs / "findings.md", "regime", regime_text(read_regime(options.store)))
    except RdcError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _measure(variant: Variant, run: str, options: argparse.Namespace) -> None:
    refit = options.refit if variant.refit is None else variant.refit
    wanted = (variant.changes, run, refit, options.images, variant.true_regions)
    if wanted in {one.key for one in read_regime(options.store).measured}:
        return
    (found,) = rdc_sweeps.probe(
        [run],
        images=options.images,
        refit=refit,
        true_regions=variant.true_regions,
        method_of=ROW,
        changes=variant.changes,
        root=options.root,
        profile=options.profile,
    )
    (probe,) = found.probes
    measured = Measured.of(variant, run, refit, options.images, probe)
    write_regime(options.store, read_regime(options.store).with_(measured))
    print(f"{variant.group}, {variant.name}: alignment {probe.alignment()}, {measured.accuracy}", flush=True)


if __name__ == "__main__":
    main()
