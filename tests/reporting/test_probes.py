"""Probes of runs as tables, pictures and pages."""

import json
from pathlib import Path

import pytest

from rdc_sweeps.errors import UsageError
from rdc_sweeps.probing.record import SUBSTITUTES, Probe, RegionMeasure
from rdc_sweeps.reporting.probe_page import write_folder
from rdc_sweeps.reporting.probe_tables import comparison, heading, tables_of
from rdc_sweeps.reporting.probes import ProbedRun
from rdc_sweeps.reporting.text_tables import TextTable


def a_probe(shift: float = 0.0, *, regions: bool = True, batches: list[list[int]] | None = None) -> Probe:
    batches = batches or [[3, 8], [1, 5]]
    values = {name: [2.0 + place / 10, 2.4 + place / 5] for place, name in enumerate(SUBSTITUTES)}
    measures = [
        RegionMeasure(image=image, task="depth", part=part, border=border, hit=hit, chance=0.05, cosine=0.02 + shift)
        for image, part, border, hit in (
            (3, 0.004, 0.0, 1.0),
            (8, 0.05, 0.1, 0.0),
            (8, 0.06, 0.3, 0.5),
            (1, 0.2, 0, 0.0),
        )
    ]
    return Probe(
        term="region_contrast",
        batches=batches,
        values=values,
        accuracy={name: [0.1 + shift, 0.2 + shift] for name in SUBSTITUTES} if regions else {},
        path=[[2.0, 2.4], [1.9, 2.2], [1.8, 2.1], [1.85, 2.0], [1.9, 2.1]],
        prediction={"depth": {3: 0.01 + shift, 8: -0.02 + shift, 1: 0.03 + shift}},
        parameters={"depth": [0.1 + shift, 0.3 + shift], "all": [0.1 + shift, 0.3 + shift]},
        ratios={"depth": [0.5, 0.7], "all": [0.5, 0.7]},
        regions=measures if regions else [],
    )


def a_run(probe: Probe, run: str = "802f6596b692b07d", title: str = "table3/ours seed 0") -> ProbedRun:
    return ProbedRun(run=run, title=title, epoch=7, refit=None, method={"name": "region_contrast"}, probes=[probe])


def text(table: TextTable) -> str:
    return "\n".join([table.title, " | ".join(table.columns), *(" | ".join(row) for row in table.rows)])


EXPECTED = """\
value of the term
shown | value | less own | accuracy
own prediction | 2.200 ± 0.200 |  | 0.150 ± 0.050
another image's | 2.350 ± 0.250 | +0.150 ± 0.050 | 0.150 ± 0.050
a constant | 2.500 ± 0.300 | +0.300 ± 0.100 | 0.150 ± 0.050
noise | 2.650 ± 0.350 | +0.450 ± 0.150 | 0.150 ± 0.050
the truth | 2.800 ± 0.400 | +0.600 ± 0.200 | 0.150 ± 0.050
by chance |  |  | 0.050

value on the way from the prediction, 0, to the truth, 1, less that at 0
 | 0.25 | 0.5 | 0.75 | 1
 | -0.150 ± 0.050 | -0.250 ± 0.050 | -0.275 ± 0.125 | -0.200 ± 0.100

gradient of the term against that of the withheld label
task | cosine, prediction | above 0 | images | cosine, parameters | ratio of norms
depth | +0.007 ± 0.015 | 67 % | 3 | +0.200 ± 0.100 | 0.600 ± 0.100
all |  |  |  | +0.200 ± 0.100 | 0.600 ± 0.100

regions by their part of the image
 | regions | accuracy | chance | cosine, depth
up to 0.5 % | 1 | 1.000 | 0.050 | +0.020
up to 2 % | 0 | X | X | X
up to 8 % | 2 | 0.250 | 0.050 | +0.020
above 8 % | 1 | 0.000 | 0.050 | +0.020

regions by their distance from the border, of the shorter side
 | regions | accuracy | chance | cosine, depth
0 % | 2 | 0.500 ± 0.500 | 0.050 | +0.020 ± 0.000
up to 12.5 % | 1 | 0.000 | 0.050 | +0.020
above 12.5 % | 1 | 0.500 | 0.050 | +0.020"""


def test_all_results_stand_in_tables_with_their_errors() -> None:
    assert "\n\n".join(map(text, tables_of(a_probe()))) == EXPECTED


def test_a_term_without_regions_has_no_accuracy() -> None:
    tables = tables_of(a_probe(regions=False))
    assert len(tables) == 3
    assert "accuracy" not in tables[0].columns
    assert len(tables[0].rows) == len(SUBSTITUTES)


def test_runs_are_compared_in_pairs() -> None:
    (table,) = comparison([a_run(a_probe()), a_run(a_probe(0.25), "72b6f44b00000000", "table3/zeros seed 0")])
    assert table.title == (
        "region_contrast: table3/zeros seed 0 (72b6f44b00000000) less table3/ours seed 0 (802f6596b692b07d), paired"
    )
    found = {row[0]: row[1:] for row in table.rows}
    # Whatever the images have in common is gone.
    assert found["cosine, prediction, depth"] == ["+0.250 ± 0.000", "100 %", "3"]
    assert found["cosine, parameters, all"] == ["+0.250 ± 0.000", "100 %", "2"]
    assert found["accuracy, noise"] == ["+0.250 ± 0.000", "100 %", "2"]


def test_runs_on_other_images_are_not_compared() -> None:
    with pytest.raises(UsageError, match="was probed on other images"):
        comparison([a_run(a_probe()), a_run(a_probe(batches=[[3, 8], [1, 6]]), "72b6f44b00000000")])


def test_the_heading_says_what_was_probed() -> None:
    run = a_run(a_probe())
    assert heading(run, run.probes[0]) == (
        "table3/ours seed 0, run 802f6596b692b07d after epoch 7: region_contrast, 4 images"
    )
    fresh = run.model_copy(update={"refit": 200})
    assert "trained afresh for 200 steps" in heading(fresh, run.probes[0])


def test_a_folder_has_the_record_a_picture_and_a_page(tmp_path: Path) -> None:
    runs = [a_run(a_probe(), title="<b>hostile</b> $\\x$ {"), a_run(a_probe(0.1), "72b6f44b00000000")]
    written = write_folder(runs, tmp_path / "new" / "probe", compare=True)
    assert [path.name for path in written] == ["probe.json", "probe-region_contrast.png", "probe.html"]
    assert [ProbedRun.model_validate(record) for record in json.loads(written[0].read_text())] == runs
    assert written[1].read_bytes().startswith(b"\x89PNG")
    page = written[2].read_text()
    assert "&lt;b&gt;hostile" in page
    assert "<b>hostile" not in page
    assert "://" not in page
    assert "Differences" in page
    assert page.count("<table>") == 1 + 2 * 5
    one = write_folder(runs[:1], tmp_path / "one")[2].read_text()
    assert "Differences" not in one


def test_a_folder_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"file/probe: cannot be created: .*; choose another folder"):
        write_folder([a_run(a_probe())], tmp_path / "file" / "probe")
