"""`python -m benchmarks.findings [--root DIR]`: from finished runs docs/findings.md, its figures, README's part."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.findings.collection import collect
from benchmarks.findings.comparisons import settings
from benchmarks.findings.figures import draw_figures
from benchmarks.findings.page import results_text, summary_figure, summary_text
from benchmarks.findings.records import Results, read_results, write_results
from benchmarks.machine import processor_name
from benchmarks.pages import write_part
from rdc_sweeps.errors import RdcError
from rdc_sweeps.reporting.outcomes import Outcome
from rdc_sweeps.settings import experiments_folder, load_settings
from rdc_sweeps.specs.catalogue import Catalogue

DOCS = Path(__file__).parents[2] / "docs"
SEEDS = (0, 1, 2, 3, 4)


def main(arguments: Sequence[str] | None = None, docs: Path = DOCS) -> None:
    """Collect or read the results, and write whatever is made from them."""
    parser = argparse.ArgumentParser(description="The results of docs/findings.md, from finished runs or from JSON.")
    parser.add_argument("--root", type=Path, help="runs folder, only read (default: the setting `root`)")
    parser.add_argument("--profile", default="cpu", help="profile of the runs (default: cpu)")
    parser.add_argument("--seeds", type=_seeds, default=SEEDS, help="seeds of every row (default: 0,1,2,3,4)")
    parser.add_argument("--machine", default=processor_name(), help="what trained the runs (default: %(default)s)")
    parser.add_argument("--from", dest="source", type=Path, help="instead of runs, results that were stored as JSON")
    options = parser.parse_args(arguments)
    try:
        if options.source:
            results = read_results(options.source)
        else:
            results = _collected(options, docs / "findings" / "results.json")
        _write(results, docs)
    except RdcError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _seeds(text: str) -> list[int]:
    try:
        return [int(seed) for seed in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers such as 0,1,2") from None


def _collected(options: argparse.Namespace, stored: Path) -> Results:
    """The stored results with those of the runs folder, for which they are replaced."""
    chosen = load_settings(root=options.root)
    found, missing = collect(
        Catalogue(experiments_folder(chosen)), options.profile, options.seeds, chosen.root, options.machine
    )
    for line in _missing_lines(missing):
        print(line, file=sys.stderr)
    earlier = read_results(stored) if stored.exists() else Results()
    merged = earlier.merged(found)
    write_results(stored, merged)
    print(f"found {len(found.runs)} runs; {len(merged.runs)} are stored")
    return merged


def _missing_lines(missing: Sequence[tuple[str, Outcome]]) -> list[str]:
    """A line for each row and cause, with the seeds."""
    seeds: dict[tuple[str, str, str, str | None], list[str]] = {}
    for table, one in missing:
        seeds.setdefault((table, one.row, one.state, one.cause), []).append(str(one.seed))
    return [
        f"no result of {table}/{row}, seed {', '.join(of)}: {state}, {cause}"
        for (table, row, state, cause), of in seeds.items()
    ]


def _write(results: Results, docs: Path) -> None:
    figures = docs / "findings"
    for path in draw_figures(settings(results), figures):
        print(f"wrote {path}")
    summary, figure = summary_text(results), summary_figure(results, f"{docs.name}/{figures.name}")
    for page, part, content in (
        (docs / "findings.md", "summary", summary),
        (docs / "findings.md", "results", results_text(results, figures)),
        (docs.parent / "README.md", "findings", summary + figure),
    ):
        write_part(page, part, content)
        print(f"wrote {page}")


if __name__ == "__main__":
    main()
