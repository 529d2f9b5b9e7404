import re
from pathlib import Path

from rdc_sweeps.runs import paths
from rdc_sweeps.runs.directory import RunDirectory

GUIDE = Path(__file__).parents[2] / "docs" / "running.md"


def listing(text: str) -> list[str]:
    """The lines of a listing of a run directory, without indentation of the whole."""
    found = re.search(r"^( *)runs/<id>/.*?(?=\n\n|\n?\Z)", text, re.DOTALL | re.MULTILINE)
    assert found is not None
    return [line.removeprefix(found[1]) for line in found[0].splitlines()]


def test_the_guide_lists_what_the_module_lists() -> None:
    assert listing(GUIDE.read_text(encoding="utf-8")) == listing((paths.__doc__ or "").rstrip())


def test_every_path_is_listed(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path, "0" * 16)
    properties = [name for name, value in vars(paths.RunPaths).items() if isinstance(value, property)]
    top = {Path(getattr(run, name)).relative_to(run.folder).parts[0] for name in properties}
    text = " ".join(listing(paths.__doc__ or ""))
    assert len(top) > 5
    assert all(name in text for name in top)
