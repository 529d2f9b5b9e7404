"""Draws docs/images/table3.svg from the runs that `make demo` left in ./runs."""

from pathlib import Path

from rich.console import Console

from rdc_sweeps.reporting.formats import render
from rdc_sweeps.reporting.report import build_report
from rdc_sweeps.settings import experiments_folder, load_settings
from rdc_sweeps.specs.catalogue import Catalogue

HERE = Path(__file__).parent

settings = load_settings()
runs = Catalogue(experiments_folder(settings)).runs("table3", "demo")
with Path("/dev/null").open("w") as nowhere:
    console = Console(record=True, width=120, file=nowhere, force_terminal=True, color_system="truecolor")
    render(build_report(runs, settings.root), "terminal", console)
console.save_svg(str(HERE / "table3.svg"), title="rdc-sweep report table3 --profile demo")
