from rdc_sweeps.specs.fields import MISSING, at_path, with_values


def test_values_at_paths() -> None:
    assert at_path({"a": {"b": 3}}, "a.b") == 3
    assert at_path({"a": 3}, "a.b") is MISSING
    assert at_path({}, "a") is MISSING
    assert at_path({}, "a.b", None) is None


def test_values_are_set_in_a_copy() -> None:
    tree = {"a": {"b": 1, "c": 2}, "d": 3}
    assert with_values(tree, {"a.b": 5, "e": 6}) == {"a": {"b": 5, "c": 2}, "d": 3, "e": 6}
    assert tree == {"a": {"b": 1, "c": 2}, "d": 3}
