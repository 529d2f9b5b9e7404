"""The guide docs/extending.md, followed step by step, and the mistakes that an extension may make."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Literal

import pytest

from rdc_sweeps import extend
from rdc_sweeps.doctor.software import examine_software
from rdc_sweeps.errors import UsageError
from rdc_sweeps.runs.events import read_events
from rdc_sweeps.settings import dataset_root, load_settings
from rdc_sweeps.specs.base import Spec
from rdc_sweeps.specs.extensions import Extension, Group, implementation, load_extensions
from rdc_sweeps.specs.run import RunSpec, run_id
from tests.cli.conftest import Cli, cache, cli, environment, experiments

__all__ = ["cache", "cli", "environment", "experiments"]

GUIDE = Path(__file__).parents[1] / "docs" / "extending.md"
FILE = re.compile(r"^`([^`\n]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def install(project: Path) -> None:
    """What pip leaves behind of a package with this pyproject.toml, in its own folder."""
    metadata = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    installed = project / f"{metadata['name'].replace('-', '_')}-{metadata['version']}.dist-info"
    installed.mkdir(exist_ok=True)
    (installed / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {metadata['name']}\nVersion: {metadata['version']}\n"
    )
    lines = []
    for group, points in metadata["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (installed / "entry_points.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The files of the guide, installed."""
    folder = tmp_path / "rdc-more"
    for name, text in FILE.findall(GUIDE.read_text(encoding="utf-8")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    install(folder)
    return folder


def steps(runs: Path) -> dict[str, list[dict[str, float]]]:
    """What each row reported at every step."""
    found = {}
    for folder in runs.iterdir():
        events = read_events(folder / "events.jsonl")
        row = json.loads((folder / "origin.json").read_text())["row"]
        found[row] = [event["values"] for event in events if event["kind"] == "step"]
    return found


@pytest.mark.slow
def test_the_guide_trains_and_reports(cli: Cli, project: Path, tmp_path: Path) -> None:
    variables = {"PYTHONPATH": f"{project}:{GUIDE.parents[1]}", "RDC_SWEEP_EXPERIMENTS": str(project / "experiments")}
    [commands] = COMMANDS.findall(GUIDE.read_text(encoding="utf-8"))
    outputs = []
    for command in commands.splitlines():
        program, *arguments = command.split()
        assert program == "rdc-sweep"
        outputs.append(cli(*arguments, **variables))
        assert outputs[-1].returncode == 0, outputs[-1].stderr
    validated, run, report = outputs
    assert "more: valid under small" in validated.stderr
    assert run.stderr.count("done, epoch 2 of 2") == 5
    assert all(word in report.stdout for word in ("MTL", "Smooth depth", "RDC", "RDC, Hellinger", "mIoU"))
    trained = steps(tmp_path / "runs")
    for step in trained["smooth"]:
        supervised = sum(step[f"loss/{task}"] for task in ("semantic", "depth", "normal"))
        assert step["loss"] == pytest.approx(supervised + 0.5 * step["loss/smooth_depth"], rel=1e-5)
        assert step["loss/smooth_depth"] > 0
    assert all({"loss/smooth_depth", "loss/contrast"} <= step.keys() for step in trained["ours-smooth"])
    # The distances of the extension are at most its scale, and regions of its source are what is contrasted.
    distances = [step["contrast/negative_distance"] for step in trained["ours-hellinger"]]
    assert all(0 < distance <= 10 for distance in distances)
    assert len(set(distances)) == len(distances)
    assert all(step["contrast/regions"] > 1 for row in ("ours", "ours-hellinger") for step in trained[row])


def test_the_guide_keeps_imports_light_and_built_in_ids_unchanged(
    project: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    code = (
        "import rdc_more.specs\n"  # The extension's module first, as in its own tests.
        "import sys\n"
        "from rdc_sweeps.specs.run import RunSpec, run_id\n"
        "from rdc_sweeps.specs.schema import json_schema\n"
        "kinds = {'SmoothDepth', 'ResNet34Spec', 'BallsSpec', 'ThresholdRegions', 'HellingerDistance'}\n"
        "assert kinds <= json_schema('run')['$defs'].keys()\n"
        "assert 'method.contrast.distance' in json_schema('study')['properties']['space']['properties']\n"
        "assert not {'torch', 'timm', 'numpy'} & sys.modules.keys()\n"
        "print(run_id(RunSpec()))"
    )
    variables = {**environment, "PYTHONPATH": f"{project}:{GUIDE.parents[1]}"}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=variables, cwd=tmp_path, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == run_id(RunSpec())


def test_everything_in_the_guide_is_imported_from_one_module() -> None:
    modules = set(re.findall(r"^(?:from|import) (rdc_sweeps\S*)", GUIDE.read_text(encoding="utf-8"), re.MULTILINE))
    assert modules == {"rdc_sweeps.extend"}


@pytest.mark.parametrize("name", extend.__all__)
def test_names_for_extensions_can_be_imported(name: str) -> None:
    assert getattr(extend, name) is not None


def test_other_names_are_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Methods'"):
        extend.__getattr__("Methods")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("distance=hellingr", "distance: must be 'wasserstein' or 'kl' or {name: hellinger}, found 'hellingr'"),
        ("distance={name: mine}", "distance: must be 'wasserstein' or 'kl' or {name: hellinger}"),
        ("distance={name: hellinger, scal: 2}", "distance.scal: there is no such field; did you mean 'scale'?"),
        ("distance={name: hellinger, scale: 0}", "distance.scale: must be greater than 0, found 0"),
    ],
)
def test_a_distance_is_validated_like_a_built_in_one(assignment: str, message: str, cli: Cli, project: Path) -> None:
    result = cli(
        "run", "more", "ours-hellinger", "--profile", "small", "-n", "--set", f"method.contrast.{assignment}",
        PYTHONPATH=f"{project}:{GUIDE.parents[1]}", RDC_SWEEP_EXPERIMENTS=str(project / "experiments"),
    )  # fmt: skip
    assert result.returncode == 3
    assert f"method.contrast.{message}" in " ".join(result.stderr.split())


def test_the_doctor_lists_extensions(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(project))
    found = [one.text for one in examine_software() if one.topic == "extension"]
    assert "regions: threshold, from rdc-more 1.0" in found
    assert "distances: hellinger, from rdc-more 1.0" in found
    assert len(found) == 5


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("smooth_depth", "rdc_more.spec:smooth_depth", "cannot be loaded (ModuleNotFoundError"),
        ("supervised", "rdc_more.specs:smooth_depth", "this name is built in"),
    ],
)
def test_a_broken_entry_point_is_a_usage_error(name: str, value: str, message: str, cli: Cli, project: Path) -> None:
    pyproject = project / "pyproject.toml"
    line = 'smooth_depth = "rdc_more.specs:smooth_depth"'
    pyproject.write_text(pyproject.read_text().replace(line, f'{name} = "{value}"'))
    install(project)
    result = cli("validate", PYTHONPATH=f"{project}:{GUIDE.parents[1]}")
    assert result.returncode == 2
    said = " ".join(result.stderr.split())
    assert f"error: rdc-more: entry point '{name}' of rdc_sweeps.methods: " in said
    assert message in said
    assert "Traceback" not in said


@pytest.mark.parametrize("module", ["contrast", "method", "run"])
def test_circular_imports_of_specs_get_advice(module: str, cli: Cli, project: Path) -> None:
    specs = project / "rdc_more" / "specs.py"
    name = {"contrast": "VectorContrast", "method": "Supervised", "run": "RunSpec"}[module]
    line = "from rdc_sweeps.extend import Extension"
    assert line in specs.read_text()
    specs.write_text(specs.read_text().replace(line, f"from rdc_sweeps.specs.{module} import {name}\n{line}"))
    result = cli("validate", PYTHONPATH=f"{project}:{GUIDE.parents[1]}")
    assert result.returncode == 2
    message = " ".join(result.stderr.split())
    assert "rdc_more.specs" in message
    assert "may import nothing of rdc_sweeps but rdc_sweeps.extend" in message
    assert "Traceback" not in message


class Dropping(Spec):
    name: Literal["dropping"] = "dropping"


dropping = Extension(Dropping, "tests.test_extending:nothing")
METHODS: Group = "rdc_sweeps.methods"
POINT = EntryPoint("dropping", "tests.test_extending:dropping", METHODS)


def test_entry_points_name_extensions() -> None:
    [found] = load_extensions(METHODS, [POINT], frozenset())
    assert found.spec.__name__ == "Dropping"


@pytest.mark.parametrize(
    ("group", "points", "message"),
    [
        (METHODS, [POINT, POINT], "this name is also used by"),
        (METHODS, [EntryPoint("shedding", POINT.value, METHODS)], r"needs a field name: Literal\['shedding'\]"),
        (METHODS, [EntryPoint("dropping", "tests.test_extending:GUIDE", METHODS)], "not an Extension"),
        (METHODS, [EntryPoint("dropping", "tests.test_extending:none", METHODS)], "cannot be loaded"),
        ("rdc_sweeps.backbones", [POINT], "Dropping lacks pretrained"),
        ("rdc_sweeps.datasets", [POINT], "Dropping lacks size, .*, training_count"),
    ],
)
def test_an_object_that_is_not_an_extension_is_reported(group: Group, points: list[EntryPoint], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_extensions(group, points, frozenset())


class Shedding(Spec):
    source: Literal["shedding"] = "shedding"


shedding = Extension(Shedding, "tests.test_extending:nothing")


@pytest.mark.parametrize(("group", "name"), [("rdc_sweeps.regions", "sam"), ("rdc_sweeps.distances", "kl")])
def test_names_of_regions_and_distances_may_be_taken(group: Group, name: str) -> None:
    point = EntryPoint(name, POINT.value, group)
    with pytest.raises(UsageError, match="this name is built in"):
        load_extensions(group, [point], frozenset({name}))


def test_regions_are_named_by_their_source() -> None:
    point = EntryPoint("shedding", "tests.test_extending:shedding", "rdc_sweeps.regions")
    [found] = load_extensions("rdc_sweeps.regions", [point], frozenset())
    assert found.spec.__name__ == "Shedding"
    with pytest.raises(UsageError, match=r"needs a field source: Literal\['dropping'\]"):
        load_extensions("rdc_sweeps.regions", [POINT], frozenset())


def test_a_missing_implementation_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rdc_sweeps.specs.extensions._installed", lambda group: (dropping,))
    with pytest.raises(UsageError, match=r"Dropping: its implementation .* cannot be loaded"):
        implementation(METHODS, Dropping(), {})


def test_folders_of_data_sets_are_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    run = RunSpec.model_validate({"dataset": {"name": "rooms"}})
    assert dataset_root(run.dataset.name, load_settings()) is None
    (tmp_path / "rdc-sweep.toml").write_text('[dataset_roots]\nrooms = "data/rooms"\n')
    assert dataset_root(run.dataset.name, load_settings()) == tmp_path / "data" / "rooms"
    monkeypatch.setenv("RDC_SWEEP_DATASET_ROOTS", '{"rooms": "/elsewhere"}')
    assert dataset_root(run.dataset.name, load_settings()) == Path("/elsewhere")


@pytest.mark.parametrize("value", ["rooms", '{"rooms": 3}', "[]"])
def test_invalid_folders_of_data_sets_are_reported(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RDC_SWEEP_DATASET_ROOTS", value)
    with pytest.raises(UsageError, match=r"(?i)dataset_roots.*(must be|not a valid path)"):
        load_settings()
