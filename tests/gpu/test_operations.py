"""The arithmetic of tables."""

from pathlib import Path

import pytest

from benchmarks.gpu import operations
from benchmarks.gpu.operations import counted, evaluation_operations, step_operations
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.specs.run import RunSpec


def spec_of(folder: Path, row: str, *settings: str) -> RunSpec:
    (run,) = Catalogue(folder).runs("tiny", "tiny", rows=[row], seeds=[0], settings=settings)
    return run.spec


def test_a_step_grows_with_its_images_and_a_network_with_its_pixels(experiments: Path) -> None:
    supervised = step_operations(spec_of(experiments, "alone"))
    assert step_operations(spec_of(experiments, "alone", "training.batch_size=8")) == 2 * supervised
    one = evaluation_operations(spec_of(experiments, "alone"))
    assert evaluation_operations(spec_of(experiments, "alone", "dataset.size=[64,64]")) == 2 * one
    # A batch of 4 in two views at most; the backward pass has two products for each of the forward pass.
    assert 4 * 2 * one < supervised < 2 * 4 * 3 * one


def test_the_contrast_is_counted(experiments: Path) -> None:
    few, many = (
        step_operations(spec_of(experiments, "contrasted", f"method.mapping.channels={channels}"))
        for channels in ("[8,8]", "[8,16]")
    )
    # Pairs of Gaussians are products of d x d.
    assert many > 2 * few > 4 * step_operations(spec_of(experiments, "alone"))


def test_rows_and_their_sum(experiments: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = {row["row"]: row for row in counted(Catalogue(experiments), ["tiny"], "tiny", 3, rate=2)}
    assert list(rows) == ["tiny/alone", "tiny/contrasted", "all"]
    assert rows["all"]["PFLOP"] == pytest.approx(rows["tiny/alone"]["PFLOP"] + rows["tiny/contrasted"]["PFLOP"])
    spec = spec_of(experiments, "alone")
    run = 3 * 2 * step_operations(spec) + 3 * 20 * evaluation_operations(spec)
    assert rows["tiny/alone"]["PFLOP"] == pytest.approx(3 * run / 1e15)
    assert rows["all"]["hours"] == pytest.approx(rows["all"]["PFLOP"] / 2 / 3.6)
    operations.main(["--rate", "2", "--profile", "tiny", "--tables", "tiny", "--seeds", "3"])
    assert "tiny/contrasted" in capsys.readouterr().out


def test_an_unknown_table_is_an_error(experiments: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        operations.main(["--rate", "2", "--profile", "tiny", "--tables", "none"])
    assert "none" in capsys.readouterr().err
