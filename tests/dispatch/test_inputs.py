"""What is checked before any run starts."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rdc_sweeps.dispatch.inputs import PreparationError, check_inputs
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.catalogue import Catalogue, Run
from tests.data.conftest import write_mtan
from tests.training.small import small_run

__all__ = ["write_mtan"]

WriteMtan = Callable[..., Path]
EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def runs(comparable: bool) -> list[Run]:
    found = Catalogue(EXPERIMENTS).runs("table3", "demo", rows=["one-patch-vector"], seeds=[0, 1])
    spec = small_run(
        {
            "dataset": {"name": "nyuv2", "size": [32, 64]},
            "labels": {"setting": "full"},
            "method": {"name": "supervised"},
        }
    )
    return [
        replace(
            run,
            profile=run.profile.model_copy(update={"comparable": comparable}),
            spec=spec.model_copy(update={"seed": run.spec.seed}),
        )
        for run in found
    ]


def test_a_short_data_set_is_an_error_under_the_published_protocol_and_a_warning_elsewhere(
    write_mtan: WriteMtan, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(nyuv2_root=write_mtan(), device="cpu")
    short = "nyuv2: has 6 training and 3 test images, but 795 and 654 are published"
    with caplog.at_level(logging.WARNING):
        check_inputs(runs(comparable=False), settings)
    assert [record.getMessage() for record in caplog.records] == [short]
    with pytest.raises(PreparationError, match=f"{short}; complete it.*\n  needed by .*seed 0, .*seed 1"):
        check_inputs(runs(comparable=True), settings)


@pytest.mark.parametrize("split", ["train", "val"])
def test_values_in_another_unit_are_found_before_anything_is_trained(write_mtan: WriteMtan, split: str) -> None:
    root = write_mtan()
    for path in (root / split / "depth").iterdir():
        np.save(path, np.load(path) * 1000)
    with pytest.raises(PreparationError, match="millimetres: divide by 1000"):
        check_inputs(runs(comparable=False), Settings(nyuv2_root=root, device="cpu"))


def test_each_problem_is_told_once(write_mtan: WriteMtan) -> None:
    settings = Settings(nyuv2_root=None, device="cpu")
    with pytest.raises(PreparationError) as error:
        check_inputs(runs(comparable=True), settings)
    assert str(error.value).count("its folder is not set") == 1
