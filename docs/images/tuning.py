"""Draws docs/images/tuning-*.png and tuning.svg from what `rdc-sweep tune --profile demo` left in ./runs."""

import io
from pathlib import Path

from rich.console import Console

from rdc_sweeps.settings import experiments_folder, load_settings
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.tuning.figures import draw_figures, write_figures
from rdc_sweeps.tuning.study import load_study
from rdc_sweeps.tuning.study_report import build_study_report
from rdc_sweeps.tuning.study_terminal import print_study

HERE = Path(__file__).parent

settings = load_settings()
study = load_study(settings.root, "covariance-demo")
report = build_study_report(study, Catalogue(experiments_folder(settings)))
figures = draw_figures(report.summary, report.tuned.spec.space)
for path in write_figures(figures, report.folder):
    (HERE / f"tuning-{path.name}").write_bytes(path.read_bytes())
console = Console(record=True, width=120, file=io.StringIO(), force_terminal=True, color_system="truecolor")
print_study(report, console)
console.save_svg(str(HERE / "tuning.svg"), title="rdc-sweep tune --profile demo --report")
