import pytest

from rdc_sweeps.reporting.differences import differences_by_measure, gains_of, improvements
from rdc_sweeps.reporting.outcomes import Outcome


def outcomes(**values: dict[int, float | None]) -> list[Outcome]:
    """Outcomes whose metrics have these values by seed."""
    seeds = dict.fromkeys(seed for of_metric in values.values() for seed in of_metric)
    return [
        Outcome("0", "row", seed, "done", 1, {name: of.get(seed) for name, of in values.items()}, None)
        for seed in seeds
    ]


def test_only_common_seeds_are_paired() -> None:
    row = outcomes(mIoU={0: 11.0, 1: 24.0, 7: 99.0})
    found = improvements(row, outcomes(mIoU={1: 20.0, 0: 10.0, 8: 1.0}), ["mIoU"])
    assert found is not None
    assert dict(zip(found.seeds, found.values, strict=True)) == {0: pytest.approx(10), 1: pytest.approx(20)}


def test_several_metrics_give_their_mean_and_errors_improve_by_falling() -> None:
    found = improvements(
        outcomes(mIoU={0: 11.0}, aErr={0: 0.8}), outcomes(mIoU={0: 10.0}, aErr={0: 1.0}), ["mIoU", "aErr"]
    )
    assert found is not None
    assert list(found.values) == pytest.approx([15])


@pytest.mark.parametrize(
    ("row", "base", "metrics"),
    [
        ({0: 1.0}, {1: 1.0}, ["mIoU"]),  # no seed in common
        ({0: 1.0, 1: None}, {0: 1.0, 1: 1.0}, ["mIoU"]),  # a value is missing
        ({0: 1.0}, {0: 1.0, 1: None}, ["mIoU"]),  # one that is not paired is missing
        ({0: 1.0}, {0: 0.0}, ["mIoU"]),  # no percentage of 0
        ({0: 1.0}, {0: 1.0}, ["aErr"]),  # not measured
        ({0: 1.0}, {0: 1.0}, []),
        ({}, {0: 1.0}, ["mIoU"]),
    ],
)
def test_there_may_be_no_difference(
    row: dict[int, float | None], base: dict[int, float | None], metrics: list[str]
) -> None:
    assert improvements(outcomes(mIoU=row), outcomes(mIoU=base), metrics) is None


def test_each_measure_is_corrected_over_its_rows() -> None:
    rows = {
        "base": outcomes(mIoU={0: 10.0, 1: 10.0, 2: 10.0}),
        "one": outcomes(mIoU={0: 10.5, 1: 11.0, 2: 11.5}),
        "two": outcomes(mIoU={0: 10.0, 1: 10.1, 2: 10.3}),
        "same": outcomes(mIoU={0: 10.0, 1: 10.0, 2: 10.0}),
        "absent": outcomes(aErr={0: 1.0}),
    }
    found = differences_by_measure(rows, [(name, "base") for name in rows if name != "base"], {"mIoU": ("mIoU",)})
    differences = {row: one for (row, _), one in found["mIoU"].items()}
    assert set(differences) == {"one", "two", "same"}
    p, other = differences["one"].p, differences["two"].p
    assert p is not None
    assert other is not None
    assert p < other
    assert differences["one"].p_holm == pytest.approx(2 * p)
    assert differences["two"].p_holm == pytest.approx(max(2 * p, other))


def test_measures_of_a_table() -> None:
    assert gains_of(["mIoU", "aErr"]) == {
        "mIoU": ("mIoU",),
        "aErr": ("aErr",),
        "aErr_released": ("aErr_released",),
        "delta_m": ("mIoU", "aErr"),
    }
