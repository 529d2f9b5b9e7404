"""What the command writes: the page between its markers, and the figures."""

import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.findings.__main__ import DOCS, main
from benchmarks.findings.comparisons import settings
from benchmarks.findings.figures import SOURCE, digest
from benchmarks.findings.page import results_text, summary_figure, summary_text
from benchmarks.findings.records import ClaimRecord, Results, read_results, write_results
from benchmarks.pages import with_part
from benchmarks.regime.page import regime_text
from benchmarks.regime.records import read_regime
from rdc_sweeps.errors import UsageError
from tests.findings.made_up import results, run, table

FIGURES = Path("findings")
SUMMARY = "<!-- summary -->\nold\n<!-- end of summary -->"
BEGIN, END = "<!-- results -->", "<!-- end of results -->"


def cells(text: str, start: str) -> list[list[str]]:
    """Cells of all table lines whose first cell starts like this."""
    lines = [
        [cell.strip() for cell in line.removeprefix("| ").removesuffix(" |").split(" | ")]
        for line in text.splitlines()
        if line[:1] == "|"
    ]
    return [line for line in lines if line[0].startswith(start)]


def test_means_and_differences_of_complete_rows() -> None:
    text = results_text(
        results(
            *(run("mtl", seed, 20.0 + seed) for seed in range(3)),
            *(run("rdc", s, [22.0, 23.2, 24.1][s]) for s in range(3)),
        ),
        FIGURES,
    )
    means, differences = cells(text, "RDC")[:2]
    assert means[1:4] == ["0 1 2", "3 3 3", "23.10 ± 2.62"]
    assert differences[:5] == ["RDC", "3", "mIoU ↑", "+2.10", "+1.85 to +2.35"]
    assert differences[6] == "better"
    assert "![One label per image" in text


def test_missing_runs_show_as_x_and_differences_use_the_common_seeds() -> None:
    text = results_text(results(run("mtl", 0), run("mtl", 1, 21.0), run("rdc", 1, 25.0), run("rdc", 2, 40.0)), FIGURES)
    assert cells(text, "MTL")[0][1:3] == ["0 1 X", "3 3"]
    means, difference = cells(text, "RDC")[:2]
    assert means[1] == "X 1 2"
    assert difference[1:4] == ["1", "mIoU ↑", "+4.00"]
    control, none = cells(text, "Control")
    assert control[1:4] == ["X X X", "X", "X"]
    assert none[1:] == ["0", *["X"] * 6]


def test_seeds_are_paired_on_one_machine_and_means_are_over_machines() -> None:
    text = results_text(
        results(
            *(run("mtl", seed, 20.0 + seed, machine="a") for seed in range(3)),
            *(run("mtl", seed, 30.0 + seed, machine="b", epoch=2) for seed in range(3)),
            run("rdc", 0, 21.0, machine="a"),
            run("rdc", 1, 32.0, machine="b"),
            # Trained where its baseline was not: it is compared with the first.
            run("rdc", 2, 23.0, machine="c"),
        ),
        FIGURES,
    )
    assert cells(text, "MTL")[0][2:4] == ["3/2 3/2 3/2", "26.00 ± 2.48"]
    assert cells(text, "RDC")[1][1:5] == ["3", "mIoU ↑", "+1.00", "+1.00 to +1.00"]


def test_a_seed_of_two_machines_counts_with_its_mean_difference() -> None:
    runs = [
        run(row, seed, first + 10 * on_b + gain, machine="b" if on_b else "a")
        for seed, first in enumerate((20.0, 21.0))
        for on_b in (False, True)
        for row, gain in (("mtl", 0.0), ("rdc", 3.0 if on_b else 1.0))
    ]
    text = results_text(results(*runs, seeds=(0, 1)), FIGURES)
    assert cells(text, "RDC")[1][1:5] == ["2", "mIoU ↑", "+2.00", "+2.00 to +2.00"]


def test_one_seed_has_neither_interval_nor_verdict() -> None:
    text = results_text(results(run("mtl", 0), run("rdc", 0, 30.0), seeds=(0,)), FIGURES)
    assert cells(text, "RDC")[0][3] == "30.00"
    assert cells(text, "RDC")[1][3:] == ["+10.00", "", "", "one seed", ""]
    claims = [line for line in cells(text, "RDC is better than supervision alone") if "rdc" in line[1]]
    assert claims[0][2:7] == ["1", "+16.67", "", "", "one seed"]


def test_a_claim_without_rows_or_seeds_shows_as_x() -> None:
    text = results_text(results(), FIGURES)
    assert cells(text, "regions are better than patches")[0][1:] == ["no rows in `findings`", *["X"] * 6]
    assert cells(text, "RDC is better than supervision")[0][2:] == ["0", *["X"] * 5]


def test_a_claim_that_another_table_tests_is_not_missed_in_this_one() -> None:
    text, one = "regions are better than patches", results()
    claim = ClaimRecord(claim=text, better="rdc", worse="control")
    other = table(table="findings-more", claims=(claim,))
    shown = results_text(Results(tables=(*one.tables, other)), FIGURES)
    assert [line[1] for line in cells(shown, text)] == ["`rdc` − `control`"]


def test_two_claims_about_the_same_trainings_are_one_test() -> None:
    runs = [run("mtl", seed, 20.0 + seed) for seed in range(3)] + [
        run("rdc", seed, [22.0, 23.2, 24.1][seed]) for seed in range(3)
    ]
    (claim,) = table().claims
    again = claim.model_copy(update={"claim": "Gaussians are better than vectors"})
    one, two = (Results(tables=(table(claims=claims),), runs=tuple(runs)) for claims in ((claim,), (claim, again)))
    asked = cells(results_text(one, FIGURES), claim.claim)
    assert cells(results_text(two, FIGURES), claim.claim) == asked
    assert cells(results_text(two, FIGURES), again.claim)[0][1:] == asked[0][1:]


def test_the_summary_has_rows_of_several_seeds() -> None:
    several = [run("mtl", seed, 20.0 + seed) for seed in range(3)]
    better = results(*several, *(run("rdc", s, [22.0, 23.2, 24.1][s]) for s in range(3)), run("control", 0))
    text = summary_text(better)
    assert re.search(r"Better: RDC \+3\.34 ± \d\.\d\d \(3\)\.", text)
    assert "Control" not in text
    assert summary_figure(better, "docs").count("![") == 1
    one_seed = results(*several, run("rdc", 1, 25.0))
    assert (summary_text(one_seed).strip(), summary_figure(one_seed, "docs")) == ("", "")
    unclear = summary_text(results(*several, *(run("rdc", s, [22.0, 19.0, 24.1][s]) for s in range(3))))
    assert re.search(r"Cannot tell: RDC .* ± .* \(3\) \(a true difference of \d+\.\d\d % would have shown\)\.", unclear)


def test_the_summary_has_no_rows_that_are_compared_with_another_than_the_first() -> None:
    first, control, rdc = table().rows
    variants = table(rows=(first, control, rdc.model_copy(update={"baseline": "control"})))
    runs = [run(row, seed, 20.0 + seed) for row in ("mtl", "control", "rdc") for seed in range(3)]
    text = summary_text(Results(tables=(variants,), runs=tuple(runs)))
    assert "Identical: Control" in text
    assert "RDC" not in text


def test_runs_that_do_not_count_are_mentioned() -> None:
    text = results_text(results(run("mtl", 0), run("rdc", 0, spec="older")), FIGURES)
    assert "1 runs of rows that have another spec by now are kept, but not counted: findings/rdc (cpu)." in text
    assert cells(text, "RDC")[0][1] == "X X X"


@pytest.mark.parametrize("page", ["", BEGIN, f"{END}\n{BEGIN}", f"{BEGIN}\n{END}\n{END}"])
def test_a_page_without_its_markers_is_refused(page: str) -> None:
    with pytest.raises(UsageError, match=r"page\.md: must have the lines"):
        with_part(page, "results", "", "page.md")


def test_the_command_writes_page_and_figures_from_json_and_removes_stale_figures(tmp_path: Path) -> None:
    stored = results(*(run(row, seed, 20.0 + seed) for row in ("mtl", "rdc") for seed in range(3)))
    write_results(tmp_path / "own.json", stored)
    docs = tmp_path / "docs"
    (docs / "findings").mkdir(parents=True)
    (docs / "findings" / "stale.png").touch()
    (docs / "findings.md").write_text(f"above\n{SUMMARY}\n{BEGIN}\nold\n{END}\nbelow\n")
    (tmp_path / "README.md").write_text("<!-- findings -->old<!-- end of findings -->")
    main(["--from", str(tmp_path / "own.json")], docs)
    text = (docs / "findings.md").read_text()
    assert text.startswith("above\n<!-- summary -->\n\n- One label per image")
    assert text.endswith(f"{END}\nbelow\n")
    assert "old" not in text
    (figure,) = (docs / "findings").iterdir()
    assert f"(findings/{figure.name})" in text
    readme = (tmp_path / "README.md").read_text()
    assert "old" not in readme
    assert f"(docs/findings/{figure.name})" in readme
    assert Image.open(figure).text[SOURCE] == digest(settings(stored)[0])  # type: ignore[attr-defined]


def test_errors_are_messages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--from", str(tmp_path / "none.json")], tmp_path)
    assert ended.value.code == UsageError.exit_code
    assert "no such file" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--seeds", "all"], tmp_path)
    assert "'all' is not a list of numbers" in capsys.readouterr().err


def test_the_page_and_its_figures_are_what_the_results_give(tmp_path: Path) -> None:
    stored = DOCS / "findings" / "results.json"
    found = read_results(stored) if stored.exists() else Results()
    page = (DOCS / "findings.md").read_text(encoding="utf-8")
    assert page == with_part(page, "results", results_text(found, FIGURES), "findings.md"), (
        "run `python -m benchmarks.findings --from docs/findings/results.json`"
    )
    drawn = {f"{one.name}.png": digest(one) for one in settings(found) if any(c.differences for c in one.comparisons)}
    shown = {path.name: Image.open(path).text[SOURCE] for path in (DOCS / "findings").glob("*.png")}  # type: ignore[attr-defined]
    assert shown == drawn
    if stored.exists():
        shutil.copytree(DOCS / "findings", tmp_path / "docs" / "findings")
        shutil.copy(DOCS / "findings.md", tmp_path / "docs")
        shutil.copy(DOCS.parent / "README.md", tmp_path)
        main(["--from", str(stored)], tmp_path / "docs")
        assert (tmp_path / "docs" / "findings.md").read_text(encoding="utf-8") == page
        assert (tmp_path / "README.md").read_bytes() == (DOCS.parent / "README.md").read_bytes()


def test_the_table_of_the_regime_is_what_was_measured() -> None:
    page = (DOCS / "findings.md").read_text(encoding="utf-8")
    text = regime_text(read_regime(DOCS / "findings" / "regime.json"))
    assert page == with_part(page, "regime", text, "findings.md"), "run `python -m benchmarks.regime`"
