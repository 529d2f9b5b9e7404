"""Functions compiled with Numba."""

import numpy as np

from rdc_sweeps.compiled import compiled


def test_without_a_place_for_its_cache_a_function_is_compiled_all_the_same() -> None:
    names: dict[str, object] = {}
    exec("def double(values):\n    return 2 * values", names)  # from no file
    double = compiled()(names["double"])  # type: ignore[type-var]
    np.testing.assert_array_equal(double(np.arange(3)), [0, 2, 4])  # type: ignore[operator]
