import sys
from pathlib import Path

import pytest

import rdc_sweeps
from rdc_sweeps.errors import InfrastructureError
from rdc_sweeps.runs.environment import check_packages, describe_environment


def test_versions_and_files_of_what_is_imported_are_recorded() -> None:
    check_packages()
    found = describe_environment()
    assert found["packages"].keys() == found["files"].keys()
    assert found["files"]["rdc-sweeps"] == rdc_sweeps.__file__
    assert found["files"]["torch"] == sys.modules["torch"].__file__


def test_a_folder_in_place_of_an_installed_package_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "timm").mkdir()
    (tmp_path / "timm" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    with pytest.raises(InfrastructureError, match=rf"timm is imported from {tmp_path}/timm/__init__.py, but version"):
        check_packages()
