"""The pairs of rows behind the claims, and what runs with known effects and the published numbers say about them."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from rich.console import Console

from rdc_sweeps.errors import UsageError
from rdc_sweeps.metrics.metric import MetricValues
from rdc_sweeps.reporting.claims import claim_pairs
from rdc_sweeps.reporting.claims_formats import claims_json, claims_markdown, render_claims
from rdc_sweeps.reporting.evidence import ClaimEvidence, ClaimsReport, build_claims
from rdc_sweeps.reporting.json_schemas import output_schema
from rdc_sweeps.reporting.published import inconsistencies
from rdc_sweeps.specs.catalogue import Catalogue, Run
from tests.reporting.golden import check_golden

Make = Callable[..., MetricValues]
SHIPPED = Catalogue(Path(__file__).parents[2] / "experiments")


def paper_runs(profile: str = "paper") -> list[Run]:
    names = [name for name in SHIPPED.tables if SHIPPED.table(name).paper]
    return [run for name in names for run in SHIPPED.runs(name, profile, seeds=[0])]


def pairs(key: str, runs: list[Run]) -> set[tuple[str, str]]:
    return {
        (f"{one.better.table.table}/{one.better.row.id}", f"{one.worse.table.table}/{one.worse.row.id}")
        for one in claim_pairs(runs)
        if one.claim.key == key
    }


def claim(report: ClaimsReport, key: str) -> ClaimEvidence:
    return next(one for one in report.claims if one.key == key)


@pytest.mark.parametrize("profile", ["paper", "cpu", "demo"])
def test_pairs_are_found_from_the_specs_under_every_profile(profile: str) -> None:
    runs = paper_runs(profile)
    assert pairs("supervised", runs) == {
        (f"table1/{labels}-vitl-ours", f"table1/{labels}-vitl-taskexpert") for labels in ("one", "rand")
    }
    assert pairs("li", runs) == {
        *(
            (f"table1/{labels}-{backbone}-ours", f"table1/{labels}-{backbone}-li")
            for labels in ("one", "rand")
            for backbone in ("segnet", "hrnet")
        ),
        ("table2/hrnet-ours", "table2/hrnet-li"),
    }
    assert pairs("distance", runs) == {(f"table5/{labels}-w2", f"table5/{labels}-kl") for labels in ("one", "rand")}
    assert pairs("full", runs) == {("table6/full-region-gaussian", f"table6/full-{other}") for other in ("mtl", "li")}
    assert pairs("partial-normals", runs) == {
        ("table1/rand-vitl-ours", "table1/full-taskexpert"),
        ("table1/rand-hrnet-ours", "table6/full-mtl"),
    }
    semantic = "table4/full-semlabel-gaussian"
    assert {worse for better, worse in pairs("sam", runs) if better == semantic} == {
        "table4/full-semlabel-vector",
        "table6/full-region-vector",
    }
    assert pairs("pixel", runs) == {
        ("table2/hrnet-ours", "table2/hrnet-region-pixel"),
        ("table6/full-region-gaussian", "table6/full-region-pixel"),
        *(
            (f"table3/{labels}-{extraction}-gaussian", f"table3/{labels}-{extraction}-pixel")
            for labels in ("one", "rand")
            for extraction in ("patch", "region")
        ),
    }


def test_a_training_in_several_tables_is_one_row_and_pairs_are_named_as_of_one_table() -> None:
    found = claim_pairs(paper_runs())
    tests = [(one.claim.key, one.better.id, one.worse.id) for one in found]
    assert len(set(tests)) == len(tests)
    apart = {one.claim.key for one in found if one.better.table.table != one.worse.table.table}
    assert apart == {"sam", "partial-normals"}, "only these compare tables"


def test_what_the_published_numbers_say(tmp_path: Path) -> None:
    report = build_claims(paper_runs(), tmp_path)
    assert {one.answer for found in report.claims for one in found.pairs} == {"not measured"}
    (normals,) = [one for one in claim(report, "partial-normals").pairs if "vitl" in one.better]
    assert normals.published["mErr"] == pytest.approx((5.90 - 4.78) / 5.90 * 100)
    assert normals.published_answer("mErr") == "holds"
    # On all tasks, random labels are not better than all labels.
    assert normals.published["mIoU"] < 0
    said = {
        found.key: [one.published_answer(found.measure) for one in found.pairs if one.published]
        for found in report.claims
    }
    assert all(set(answers) == {"holds"} for answers in said.values())
    pixel = next(one for one in claim(report, "pixel").pairs if one.better == "table3/rand-region-gaussian")
    assert pixel.published["mIoU"] < 0 < pixel.published["delta_m"]


def test_two_published_percentages_do_not_follow_from_the_published_numbers() -> None:
    found = [one for name in SHIPPED.tables for one in inconsistencies(SHIPPED.table(name))]
    assert [(one.table, one.row, one.metric, one.printed, round(one.follows, 2)) for one in found] == [
        ("table1", "one-segnet-ours", "aErr", "+2.25", 2.08),
        ("table2", "hrnet-ours", "aErr", "+22.73", 22.93),
    ]
    assert "rounding may explain it" not in found[0].text
    assert found[1].text == (
        "Published improvement of hrnet-ours in aErr is printed as +22.73 %, but 0.0157 to 0.0121 is +22.93 %; numbers "
        "that round to these give +22.36 to +23.49, so rounding may explain it."
    )


def three_seeds(bench: Any, metrics: Make) -> ClaimsReport:
    """Regions better than patches by far, vectors and Gaussians equal, pixels noise; one row unfinished."""
    runs = bench.runs("cpu", seeds=[0, 1, 2])
    for number, run in enumerate(runs):
        noise = number * 37 % 17 / 100
        gain = 10.0 if "region" in run.row.id else 0.0
        if run.row.id != "rand-region-pixel":
            same = run.row.id.endswith(("vector", "gaussian"))
            bench.finish(run, metrics(gain + run.spec.seed / 10 + (0 if same else noise)))
    return build_claims(runs, bench.root)


def test_answers_are_those_of_the_known_effects(bench: Any, metrics: Make) -> None:
    report = three_seeds(bench, metrics)
    regions = claim(report, "region")
    answers = {one.better: one.answer for one in regions.pairs}
    assert answers["table3/rand-region-pixel"] == "not measured"
    assert {answer for row, answer in answers.items() if row != "table3/rand-region-pixel"} == {"holds"}
    assert regions.answers == {"holds": 5, "not measured": 1}
    assert {one.answer for one in claim(report, "vector").pairs} == {"identical"}
    assert {one.answer for one in claim(report, "pixel").pairs} <= {"cannot tell", "not measured"}
    assert claim(report, "distance").pairs == ()
    assert report.missing == {"table3": 3}
    # A pair that two claims are about is one test, and identical rows are none.
    tested = {
        (one.better, one.worse)
        for found in report.claims
        for one in found.pairs
        if one.difference and one.difference.p is not None
    }
    assert report.statistics.families == {"answers": len(tested)}


def test_one_seed_gives_no_answer(bench: Any, metrics: Make) -> None:
    runs = bench.runs("cpu", rows=["one-patch-vector", "one-region-vector"], seeds=[4])
    for number, run in enumerate(runs):
        bench.finish(run, metrics(5.0 * number))
    (pair,) = claim(build_claims(runs, bench.root), "region").pairs
    assert pair.answer == "one seed"
    assert pair.improvements["mIoU"] == pytest.approx(25)
    assert "no answer" in claims_markdown(build_claims(runs, bench.root))


def test_no_runs() -> None:
    with pytest.raises(UsageError, match="no runs"):
        build_claims([], Path())


@pytest.mark.parametrize("form", ["80.txt", "md", "json"])
def test_rendered_claims(bench: Any, metrics: Make, form: str) -> None:
    report = three_seeds(bench, metrics)
    file = io.StringIO()
    if form == "80.txt":
        render_claims(report, "terminal", Console(file=file, width=80, color_system=None, legacy_windows=False))
    else:
        render_claims(report, "markdown" if form == "md" else "json", Console(file=file))
    text = "".join(line.rstrip() + "\n" for line in file.getvalue().splitlines())
    assert form != "80.txt" or max(map(len, text.splitlines())) <= 80
    check_golden(f"claims.{form}", text)


def test_json_is_as_its_schema_says(bench: Any, metrics: Make) -> None:
    schema = output_schema("claims")
    data = json.loads(claims_json(three_seeds(bench, metrics)))
    jsonschema.Draft202012Validator(schema).validate(data)
    assert data["version"] == 1
    data["claims"][0]["pairs"] = [{"better": 3}]
    assert not jsonschema.Draft202012Validator(schema).is_valid(data)
