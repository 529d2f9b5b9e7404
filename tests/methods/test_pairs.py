from itertools import product

import pytest
import torch

from rdc_sweeps.methods.pairs import task_pairs


def items(granted: list[list[bool]]) -> list[tuple[int, int, int]]:
    pairs = task_pairs(torch.tensor(granted))
    return list(zip(pairs.image.tolist(), pairs.predicted.tolist(), pairs.labelled.tolist(), strict=True))


@pytest.mark.parametrize("tasks", [2, 3])
def test_every_label_setting_follows_the_stated_rule(tasks: int) -> None:
    for granted in product([False, True], repeat=tasks):
        expected = [
            (0, t, s)
            for t in range(tasks)
            for s in range(tasks)
            if t != s and granted[s] and (not granted[t] or all(granted))
        ]
        assert items([list(granted)]) == expected


def test_one_label_of_three_gives_two_pairs_and_two_labels_two() -> None:
    assert items([[False, True, False], [True, True, False]]) == [(0, 0, 1), (0, 2, 1), (1, 2, 0), (1, 2, 1)]


def test_full_supervision_gives_every_ordered_pair() -> None:
    assert len(items([[True, True, True]])) == 6
