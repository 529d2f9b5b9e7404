import re
from collections.abc import Callable
from pathlib import Path

import pytest

from rdc_sweeps.errors import SpecError, UsageError
from rdc_sweeps.specs.catalogue import Catalogue, Run

Edit = Callable[[str, str, str], None]
Problems = Callable[..., list[str]]

PIXEL = "contrast: {name: pixel, distance: dot}"


def run(experiments: Path, row: str, profile: str, *settings: str) -> Run:
    return Catalogue(experiments).runs("table3", profile, rows=[row], settings=settings)[0]


def test_names(experiments: Path) -> None:
    catalogue = Catalogue(experiments)
    assert "table3" in catalogue.tables
    assert catalogue.profiles == ["cpu", "demo", "paper"]
    assert catalogue.table("table3").table == "table3"
    assert catalogue.profile("paper").comparable
    assert not catalogue.profile("cpu").comparable


def test_rows_times_seeds(experiments: Path) -> None:
    runs = Catalogue(experiments).runs("table3", "paper", rows=["rand-patch-pixel", "one-patch-vector"], seeds=[2, 0])
    assert [(found.row.id, found.spec.seed) for found in runs] == [
        ("one-patch-vector", 2),
        ("one-patch-vector", 0),
        ("rand-patch-pixel", 2),
        ("rand-patch-pixel", 0),
    ]
    assert runs[0].title == "table3/one-patch-vector seed 2"
    assert len({found.id for found in runs}) == 4


def test_settings_win_over_the_profile_and_are_remembered(experiments: Path) -> None:
    changed = run(experiments, "one-patch-vector", "cpu", "training.epochs=3", "method.weight=5e-1")
    assert changed.spec.training.epochs == 3
    assert changed.changes == ("--set training.epochs=3", "--set method.weight=5e-1")


def test_a_row_is_tuned_under_a_profile(experiments: Path, edit: Edit) -> None:
    plain = {name: run(experiments, "one-patch-vector", name) for name in ("cpu", "demo")}
    first = "  - id: one-patch-vector\n"
    edit("table3.yaml", first, f"{first}    tuned: {{cpu: {{method: {{weight: 0.7}}}}}}\n")
    tuned = run(experiments, "one-patch-vector", "cpu")
    assert tuned.changes == ()
    assert tuned.id != plain["cpu"].id
    assert run(experiments, "one-patch-vector", "cpu", "method.weight=0.7").id == tuned.id
    assert run(experiments, "one-patch-vector", "cpu", "method.weight=0.1").id == plain["cpu"].id
    assert run(experiments, "one-patch-vector", "demo").id == plain["demo"].id


@pytest.mark.parametrize(
    ("tuned", "problem"),
    [
        ("{cpuu: {}}", r"table3.yaml:\d+: rows\[0\].tuned: no profile 'cpuu'; did you mean 'cpu'\?"),
        ("{cpu: {method: {wait: 1}}}", r"table3.yaml:\d+: method.wait: .*did you mean 'weight'"),
        ("{cpu: 1}", r"table3.yaml:\d+: rows\[0\].tuned.cpu: "),
        ("1", r"table3.yaml:\d+: rows\[0\].tuned: "),
    ],
)
def test_what_is_wrong_with_tuned_values(experiments: Path, edit: Edit, tuned: str, problem: str) -> None:
    first = "  - id: one-patch-vector\n"
    edit("table3.yaml", first, f"{first}    tuned: {tuned}\n")
    with pytest.raises(SpecError) as raised:
        Catalogue(experiments).runs("table3", "cpu")
    assert re.search(problem, str(raised.value)), str(raised.value)


def test_iterations_take_the_place_of_a_profile_s_epochs(experiments: Path, problems: Problems) -> None:
    (problem,) = problems("training.iterations=100")
    assert problem.startswith("--set training.iterations=100: training: epochs is ")
    assert "training.epochs=null" in problem
    changed = run(experiments, "one-patch-vector", "cpu", "training.iterations=100", "training.epochs=null")
    assert changed.spec.length.steps == 100
    assert run(experiments, "one-patch-vector", "cpu").changes == ()


def test_seeds_come_from_the_command_line_else_the_spec_else_the_profile(experiments: Path, edit: Edit) -> None:
    edit("profiles/cpu.yaml", "seeds: [0]", "seeds: [4, 5]")
    catalogue = Catalogue(experiments)

    def seeds(*settings: str, given: list[int] | None = None) -> list[int]:
        runs = catalogue.runs("table3", "cpu", rows=["one-patch-vector"], seeds=given, settings=settings)
        return [found.spec.seed for found in runs]

    assert seeds() == [4, 5]
    assert seeds("seed=7") == [7]
    assert seeds("seed=7", given=[1]) == [1]


def test_conditions_apply_to_default_values(experiments: Path, edit: Edit) -> None:
    # Regions are then SAM's by default, which the profile replaces.
    edit("table3.yaml", "extraction: {name: region, regions: {source: sam}}", "extraction: {name: region}")
    written = run(experiments, "rand-region-vector", "cpu").spec.method
    default = run(experiments, "one-region-vector", "cpu").spec.method
    assert written.name == default.name == "region_contrast"
    assert written.extraction == default.extraction


def test_what_a_profile_says_of_a_method_holds_for_it_as_a_term(experiments: Path) -> None:
    text = (experiments / "table3.yaml").read_text()
    head, rows = text.split("rows:\n", 1)
    combination = """rows:
  - id: both
    method: Li et al. and RDC
    spec:
      labels: {setting: onelabel}
      method:
        name: combined
        cross_task: {regulariser: 0.25}
        region_contrast: {extraction: {name: region, regions: {source: sam}}, contrast: {name: vector}}
"""
    (experiments / "table3.yaml").write_text(head + combination + rows)
    catalogue = Catalogue(experiments)
    (found,) = catalogue.runs("table3", "cpu", rows=["both"], settings=["method.cross_task.weight=3"])
    overlaid = found.spec.model_dump()["method"]
    alone = run(experiments, "one-region-vector", "cpu").spec.model_dump()["method"]
    assert overlaid["region_contrast"] == alone
    assert (overlaid["cross_task"]["weight"], overlaid["cross_task"]["regulariser"]) == (3, 0.25)
    with pytest.raises(SpecError, match=r"method\.cross_task\.weight: must be greater than or equal to 0"):
        catalogue.runs("table3", "cpu", rows=["both"], settings=["method.cross_task.weight=-3"])


def test_unknown_names_get_a_suggestion(experiments: Path) -> None:
    catalogue = Catalogue(experiments)
    with pytest.raises(UsageError, match=r"no table 'table33'; did you mean 'table3'\? Available: "):
        catalogue.runs("table33", "cpu")
    with pytest.raises(UsageError, match=r"no profile 'papr'; did you mean 'paper'\? Available: cpu, demo, paper"):
        catalogue.runs("table3", "papr")
    with pytest.raises(UsageError, match=r"no row of table3 'one-patch-vectr'; did you mean 'one-patch-vector'\?"):
        catalogue.runs("table3", "cpu", rows=["one-patch-vectr"])
    with pytest.raises(UsageError, match=r"no table 'xyz'\. Available: "):
        catalogue.table("xyz")


def test_a_folder_without_tables(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no tables here"):
        Catalogue(tmp_path)


def test_unknown_variant(edit: Edit, problems: Problems) -> None:
    edit("table3.yaml", PIXEL, "contrast: {name: pixels, distance: dot}")
    assert problems() == [
        "table3.yaml:26: method.contrast.name: there is no 'pixels'; did you mean 'pixel'? "
        "Available: vector, pixel, gaussian, released"
    ]


def test_missing_variant(edit: Edit, problems: Problems) -> None:
    edit("table3.yaml", PIXEL, "contrast: {distance: dot}")
    assert problems() == [
        "table3.yaml:26: method.contrast.name: is missing. Available: vector, pixel, gaussian, released"
    ]


def test_unknown_variant_in_a_union_within_unions(edit: Edit, problems: Problems) -> None:
    edit("table3.yaml", "regions: {source: sam}", "regions: {source: samm}")
    [found] = problems(profile="paper")
    assert found == (
        "table3.yaml:43: method.extraction.regions.source: there is no 'samm'; did you mean 'sam'? "
        "Available: sam, sam2, transformers, superpixel, semantic"
    )


def test_a_value_in_place_of_a_mapping(edit: Edit, problems: Problems) -> None:
    edit("table3.yaml", PIXEL, "contrast: pixel")
    assert problems() == ["table3.yaml:26: method.contrast: must be a mapping of fields, found 'pixel'"]


def test_unknown_field_of_a_variant_lists_that_variants_fields(edit: Edit, problems: Problems) -> None:
    edit("table3.yaml", PIXEL, "contrast: {name: pixel, distanse: dot}")
    assert problems() == [
        "table3.yaml:26: method.contrast.distanse: there is no such field; did you mean 'distance'? "
        "Available: temperature, name, negatives, distance, pixels_per_region"
    ]


def test_a_problem_in_the_defaults_is_reported_once(edit: Edit, problems: Problems) -> None:
    edit("table3.yaml", "backbone: {name: hrnet18}", "backbone: {name: hrnet18, depth: 3}")
    assert problems(profile="paper") == [
        "table3.yaml:9: backbone.depth: there is no such field. Available: name, pretrained, input, fuse, norm_momentum"
    ]


def test_problems_of_both_files_and_the_settings_are_reported_together(edit: Edit, problems: Problems) -> None:
    edit("table3.yaml", "title: Local", "titel: Local")
    edit("table3.yaml", "setting: onelabel", "setting: onelable")
    edit("profiles/cpu.yaml", "selection: best-validation", "selection: best-validaton")
    edit("profiles/cpu.yaml", "batch_size: 8", "batch_size: 0")
    found = problems("a", "training.epochs=x")
    assert found[:4] + sorted(found[4:]) == [
        "table3.yaml:2: title: is missing",
        "table3.yaml:3: titel: there is no such field; did you mean 'title'? "
        "Available: table, title, dataset, paper, metrics, defaults, rows",
        "profiles/cpu.yaml:4: selection: must be 'last', 'best-validation' or 'best-test' "
        "(perhaps 'best-validation'), found 'best-validaton'",
        "--set a: write it as path.to.field=value",
        "--set training.epochs=x: training.epochs: must be a valid integer, found 'x'",
        "profiles/cpu.yaml:11: training.batch_size: must be greater than or equal to 1, found 0",
        "table3.yaml:15: labels.setting: must be 'full', 'onelabel' or 'randomlabels' (perhaps 'onelabel'), "
        "found 'onelable'",
    ]


def test_a_repeated_key_does_not_hide_other_faults(edit: Edit, problems: Problems) -> None:
    edit("table3.yaml", "dataset: NYU-V2\n", "dataset: NYU-V2\ndataset: 5\n")
    edit("table3.yaml", PIXEL, "contrast: {name: pixel, distance: dots}")
    found = problems()
    assert [problem.partition(": ")[0] for problem in found] == ["table3.yaml:5", "table3.yaml:5", "table3.yaml:27"]
    assert "is duplicated" in found[0]
    assert "must be text" in found[1]


def test_a_file_that_is_no_yaml_does_not_hide_the_other_files_faults(edit: Edit, problems: Problems) -> None:
    edit("table3.yaml", "  - id: one-patch-vector", "\t- id: one-patch-vector")
    edit("profiles/cpu.yaml", "selection: best-validation", "selection: best")
    found = problems()
    assert found[0].startswith("table3.yaml:12: is not YAML: ")
    assert found[1].startswith("profiles/cpu.yaml:4: selection: ")


def test_an_empty_file(experiments: Path, problems: Problems) -> None:
    (experiments / "table3.yaml").write_text("")
    assert problems() == [f"table3.yaml:1: {name}: is missing" for name in ("table", "title", "dataset", "rows")]


def test_a_list_at_the_top(experiments: Path, problems: Problems) -> None:
    (experiments / "profiles/cpu.yaml").write_text("- 1\n")
    assert problems() == ["profiles/cpu.yaml:1: must be a mapping of fields to values, found a list"]


@pytest.mark.parametrize("value", [".nan", "nan", ".inf", "-.inf"])
def test_numbers_are_finite(problems: Problems, value: str) -> None:
    [found] = problems(f"training.network.learning_rate={value}")
    assert "training.network.learning_rate: must be " in found


@pytest.mark.parametrize("name", ["../x.pth", "/x.pth", "a/../../x", "a\\b", "''"])
def test_files_stay_in_their_folder(problems: Problems, name: str) -> None:
    setting = f"backbone={{name: hrnet18, pretrained: {{source: file, file: {name}}}}}"
    [found] = problems(setting)
    assert found.startswith(f"--set {setting}: backbone.pretrained.file: must be a file name relative to its folder")


def test_a_union_of_plain_types_is_one_problem(problems: Problems) -> None:
    setting = "method.contrast={name: gaussian, covariance: {shrinkage: a lot}}"
    assert problems(setting) == [
        f"--set {setting}: method.contrast.covariance.shrinkage: must be a valid number or 'oas', found 'a lot'"
    ]


def test_truth_values_are_no_numbers(problems: Problems) -> None:
    assert problems("training.epochs=true") == [
        "--set training.epochs=true: training.epochs: must not be true or false"
    ]


def test_a_mapping_in_place_of_a_value(problems: Problems) -> None:
    assert problems("seed.x=1") == ["--set seed.x=1: seed: must be a valid integer, found {'x': 1}"]


def test_items_of_lists(problems: Problems) -> None:
    assert problems("method.mapping.channels=[16, x]") == [
        "--set method.mapping.channels=[16, x]: method.mapping.channels[1]: must be a valid integer, found 'x'"
    ]


def test_problems_of_no_single_field_are_reported_for_the_row(problems: Problems) -> None:
    found = problems("method.extraction={name: region, regions: {source: semantic}}")
    assert len(found) == 12
    assert found[0].startswith("table3.yaml:12: one-patch-vector: method.extraction.regions: semantic regions need")


def test_published_numbers_are_texts(edit: Edit, problems: Problems) -> None:
    edit("table3.yaml", '"40.24"', "40.24")
    edit("table3.yaml", '"41.50"', '"about 41"')
    first, second = problems()
    assert first == "table3.yaml:19: rows[0].published.mIoU: must be text (quoted, if it is a number), found 40.24"
    assert second.startswith("table3.yaml:27: rows[1].published.mIoU: must match pattern")


def test_conditions_on_fields_that_no_run_has(edit: Edit, problems: Problems) -> None:
    edit("profiles/cpu.yaml", "when: {method.name:", "when: {methd.name:")
    assert problems() == ["profiles/cpu.yaml:16: overlays[2].when: runs have no field 'methd.name'"]


def test_rows_are_unique_and_baselines_are_rows(edit: Edit, problems: Problems) -> None:
    edit("table3.yaml", "id: one-patch-pixel", "id: one-patch-vector")
    edit("table3.yaml", "baseline: rand-patch-vector", "baseline: nobody")
    assert problems() == [
        "table3.yaml:11: rows: row id 'one-patch-vector' is duplicated; baseline 'nobody' is not a row of this table"
    ]


def test_a_table_is_called_as_its_file(edit: Edit, problems: Problems) -> None:
    edit("table3.yaml", "table: table3", "table: table4")
    assert problems() == ["table3.yaml:2: table: must be the file's name 'table3', found 'table4'"]


def test_a_broken_row_overlay_is_no_reason_for_more_problems(edit: Edit, problems: Problems) -> None:
    edit("table3.yaml", "spec:\n", "spec: 3\n    x:\n")
    assert [re.sub("(field).*", r"\1", found) for found in problems()] == [
        "table3.yaml:14: rows[0].spec: must be a mapping of field",
        "table3.yaml:15: rows[0].x: there is no such field",
    ]


def test_problems_of_all_tables_under_all_profiles(experiments: Path, edit: Edit) -> None:
    edit("table3.yaml", "setting: onelabel", "setting: none")
    edit("profiles/demo.yaml", "epochs: 4", "epochs: 0")
    edit("profiles/paper.yaml", "batch_size: 10", "batch_size: -1")
    found = Catalogue(experiments).problems(["table3"])
    assert len(found) == 3
    assert {Path(problem.partition(":")[0]).name for problem in found} == {"table3.yaml", "demo.yaml", "paper.yaml"}
    with pytest.raises(SpecError):
        Catalogue(experiments).runs("table3", "demo")
