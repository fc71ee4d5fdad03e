"""Divides cases into folds that hold about as many positives each."""

from __future__ import annotations

from collections.abc import Mapping


def case_folds(positives: Mapping[str, int], folds: int) -> list[list[str]]:
    """Divide cases into folds: the largest case first, each into the fold with the fewest positives so far.

    Of folds with as many positives, the one with the fewest cases takes it, then the first. The result depends on the
    numbers and names alone, not on their order.

    Args:
        positives: Case -> number of its positive images or figures.
        folds: Number of folds, from 2 to the number of cases.

    Returns:
        The cases of each fold, by name; every fold has at least one.

    Raises:
        ValueError: There are fewer than two folds, or more than cases.
    """
    if not 2 <= folds <= len(positives):
        raise ValueError(f'{len(positives)} cases cannot be divided into {folds} folds: expected 2 to {len(positives)}')
    divided: list[list[str]] = [[] for _ in range(folds)]
    sums = [0] * folds
    order = sorted(positives, key=lambda case_id: (-positives[case_id], case_id))
    for position, case_id in enumerate(order):
        # As many cases as there are empty folds are left: cases without positives would otherwise share one.
        empty = [fold for fold in range(folds) if not divided[fold]]
        candidates = empty if len(empty) >= len(order) - position else range(folds)
        chosen = min(candidates, key=lambda fold: (sums[fold], len(divided[fold]), fold))
        divided[chosen].append(case_id)
        sums[chosen] += positives[case_id]
    return [sorted(cases) for cases in divided]
