"""Eq. 3 and 6 for an image with several pairs of tasks, each of which has maps of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

Pair = tuple[int, int]
"""The task that is predicted and the task that is labelled."""

Members = Mapping[tuple[int, int], Any]
"""By region and place in it, what is contrasted: one for a region, or one for each of its pixels."""

Maps = Mapping[Pair, Mapping[int, Members]]
"""For each pair of an image and task of the pair, its members."""

Similarity = Callable[[Any, Any], float]
"""exp(-D / tau) of two members."""


def image_loss(
    maps: Maps,
    reading: Literal["equation", "sum", "mean"],
    tasks: int,
    similarity: Similarity,
    negatives: Literal["both", "other"] = "both",
) -> float:
    """L_RC of an image with the given pairs of `tasks` tasks.

    "equation" sums over the positives of a task, which are the tasks that it is a pair with, and averages over tasks.
    Of a pair in both orders the mean counts once. "sum" and "mean" are those of the contrasts of two tasks each.
    """
    if reading != "equation":
        contrasts = [
            sum(_term(maps, pair, task, similarity, negatives, everywhere=False) for task in pair) / 2 for pair in maps
        ]
        return sum(contrasts) / (len(contrasts) if reading == "mean" else 1)
    total = 0.0
    for t in range(tasks):
        for s in range(tasks):
            orders = [pair for pair in ((t, s), (s, t)) if s != t and pair in maps]
            terms = [_term(maps, pair, t, similarity, negatives, everywhere=True) for pair in orders]
            total += sum(terms) / max(len(orders), 1)
    return total / tasks


def _term(maps: Maps, pair: Pair, t: int, similarity: Similarity, negatives: str, *, everywhere: bool) -> float:
    """The mean over task t's anchors in a pair of -log sim(k+) / (sim(k+) + sum over k- of sim(k-)).

    With `everywhere`, other tasks' maps give negatives too: those that share the prediction or the label; of n maps of
    a task each counts 1 / n.
    """
    (s,) = {*pair} - {t}
    anchors = maps[pair][t]
    opposing: dict[int, list[Members]] = {s: [maps[pair][s]]}
    if negatives == "both":
        opposing[t] = [anchors]
    if everywhere:
        for other, members in maps.items():
            if (other[0] == pair[0]) != (other[1] == pair[1]):
                (u,) = {*other} - {*pair}
                opposing.setdefault(u, []).append(members[u])
    total = 0.0
    for (region, place), anchor in anchors.items():
        opposition = 0.0
        for of_task in opposing.values():
            for one in of_task:
                for (other_region, _), member in one.items():
                    if other_region != region:
                        opposition += similarity(anchor, member) / len(of_task)
        positive = similarity(anchor, maps[pair][s][region, place])
        total -= math.log(positive / (positive + opposition))
    return total / len(anchors)
