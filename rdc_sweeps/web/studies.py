"""The studies in a runs folder: what the overview says of each, and its page."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rdc_sweeps.errors import RdcError
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.tuning.folder import StudyFolder, study_names

if TYPE_CHECKING:
    from rdc_sweeps.reporting.pages import Frame

FOLDER = "studies"


@dataclass(frozen=True)
class StudyLink:
    """A study on the overview."""

    name: str
    address: str
    summary: str


def study_links(root: Path) -> list[StudyLink]:
    """All studies of a runs folder."""
    return [StudyLink(name, _address(name), _summary(root, name)) for name in study_names(root)]


def render_study(root: Path, name: str, catalogue: Catalogue, frame: "Frame") -> str:
    """The page of a study.

    Raises:
        RdcError: Its storage cannot be reached, its record is damaged, or a package is missing.
    """
    # Optuna and Matplotlib take seconds to import.
    from rdc_sweeps.tuning.study_request import require_extra

    require_extra()
    from rdc_sweeps.tuning.figures import draw_figures
    from rdc_sweeps.tuning.study import load_study
    from rdc_sweeps.tuning.study_html import render_html
    from rdc_sweeps.tuning.study_report import build_study_report

    report = build_study_report(load_study(root, name), catalogue)
    return render_html(report, draw_figures(report.summary, report.tuned.spec.space), frame)


def _address(name: str) -> str:
    """The name as a file name; of a name that is none in every file system or address, a digest."""
    plain = re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name)
    return f"{FOLDER}/{name if plain else f'study-{hashlib.sha256(name.encode()).hexdigest()[:12]}'}.html"


def _summary(root: Path, name: str) -> str:
    try:
        tuned = StudyFolder(root, name).read().tuned
    except (RdcError, OSError) as error:
        return str(error)
    return f"{tuned.spec.title}: {tuned.spec.table}/{tuned.spec.row} under profile {tuned.profile}"
