from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdc_sweeps.data.checking.alignment import Alignment, Comparison, odd_ones, order
from rdc_sweeps.data.checking.edges import depth_edges, label_edges, normal_edges, signature
from rdc_sweeps.data.scene import Floats

KINDS = ("image", "semantic", "depth", "normal")


def values(*wrong: str, weak: tuple[str, str] | None = None) -> dict[tuple[str, str], float]:
    """How well each two kinds fit if these kinds are mirrored; -1 for those that do not."""
    pairs = combinations(KINDS, 2)
    return {pair: -1.0 if (pair[0] in wrong) != (pair[1] in wrong) or pair == weak else 1.0 for pair in pairs}


@pytest.mark.parametrize("wrong", [(), ("image",), ("depth",), ("semantic", "normal")])
def test_the_fewest_kinds_that_explain_all_are_wrong(wrong: tuple[str, ...]) -> None:
    assert odd_ones(KINDS, values(*wrong), 0.5, -0.5) == wrong


def test_of_two_explanations_the_image_is_right() -> None:
    assert odd_ones(KINDS, values("image", "depth"), 0.5, -0.5) == ("semantic", "normal")
    assert odd_ones(("image", "depth"), {("image", "depth"): -1.0}, 0.5, -0.5) == ("depth",)


def test_two_noisy_kinds_that_fit_others_are_not_wrong() -> None:
    assert odd_ones(KINDS, values(weak=("image", "depth")), 0.5, -0.5) == ()
    # Nor do undecided pairs hide what is wrong.
    undecided = {**values("depth"), ("image", "depth"): 0.0}
    assert odd_ones(KINDS, undecided, 0.5, -0.5) == ("depth",)


def test_kinds_of_which_none_fits_another_are_all_wrong_but_the_image() -> None:
    assert odd_ones(KINDS, dict.fromkeys(values(), -1.0), 0.5, -0.5) == ("semantic", "depth", "normal")


def signatures(count: int = 20, noise: float = 0.3) -> dict[str, Floats]:
    """Maps that fit each other."""
    rng = np.random.default_rng(0)
    common = rng.normal(size=(count, 12, 16))
    return {
        kind: np.stack([signature(one) for one in (common + noise * rng.normal(size=common.shape)).astype(np.float32)])
        for kind in KINDS
    }


def test_maps_that_belong_together_fit() -> None:
    fits = Alignment.of(signatures())
    assert min(fits.mean_fits().values()) > 2
    assert min(fits.unmirrored_shares().values()) > 0.9
    assert not fits.exchanged()
    assert not fits.single_mirrored()
    np.testing.assert_allclose(fits.fit("depth", "image"), fits.fit("image", "depth").T)


def test_exchanged_and_mirrored_files_are_found() -> None:
    maps = signatures()
    maps["depth"][[3, 8]] = maps["depth"][[8, 3]]
    maps["normal"][5] = maps["normal"][5][:, ::-1].copy()
    fits = Alignment.of(maps)
    assert [one[1:] for one in fits.exchanged()] == [("depth", 3, 8)]
    assert [one[1:] for one in fits.single_mirrored()] == [("normal", 5)]


@pytest.mark.parametrize("kind", KINDS)
def test_mirrored_kinds_are_mirrored_back(kind: str) -> None:
    maps = signatures()
    maps[kind] = maps[kind][..., ::-1].copy()
    found = Comparison.of(range(20), maps)
    assert found.mirrored == (kind,)
    assert found.disordered == ()
    assert min(found.righted.mean_fits().values()) > 2


@given(st.permutations(range(20)))
def test_another_order_is_no_mirror(places: list[int]) -> None:
    maps = signatures()
    maps["depth"] = maps["depth"][places]
    moved = sum(place != index for index, place in enumerate(places))
    found = Comparison.of(range(20), maps)
    assert found.mirrored == ()
    if moved > 17:
        assert found.disordered == ("depth",)


def test_known_orders_are_named() -> None:
    maps = signatures()
    by_name = sorted(range(20), key=str)
    for places, words in (
        (by_name, "as texts (0, 1, 10"),
        ([*range(1, 20), 0], "N + 1"),
        (list(range(20))[::-1], "reverse"),
    ):
        image = maps["image"][places]
        fits = Alignment.of({**maps, "image": image})
        assert words in (order(range(20), fits.total_fit("image")) or "")
    assert (
        order(
            range(20),
            Alignment.of({**maps, "image": maps["image"][np.random.default_rng(1).permutation(20)]}).total_fit("image"),
        )
        is None
    )


def test_edges_do_not_depend_on_unit_or_sign() -> None:
    rng = np.random.default_rng(0)
    depth = rng.uniform(1, 5, (8, 10)).astype(np.float32)
    np.testing.assert_allclose(depth_edges(depth * 1000), depth_edges(depth), atol=1e-5)
    depth[3] = 0
    assert not depth_edges(depth)[3].any()
    label = rng.integers(0, 3, (8, 10)).astype(np.int16)
    np.testing.assert_array_equal(label_edges(label + 1), label_edges(label))
    normal = rng.normal(size=(8, 10, 3)).astype(np.float32)
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    np.testing.assert_allclose(normal_edges(-normal), normal_edges(normal), atol=1e-6)
    assert not signature(np.ones((8, 10), np.float32)).any()
