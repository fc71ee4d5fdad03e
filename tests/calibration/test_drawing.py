"""Which images a model is calibrated on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitouts.calibration.drawing import draw, draw_images
from mitouts.errors import ConfigError


@given(st.lists(st.sampled_from('abcdefg'), min_size=1, max_size=40), st.data(), st.integers(0, 5))
def test_no_case_is_on_both_sides_and_nothing_is_drawn_twice(cases, data, seed) -> None:
    wanted = data.draw(st.integers(1, len(cases)))
    chosen, held = draw_images(cases, wanted, seed)
    assert len(set(chosen)) == wanted
    assert not {cases[number] for number in chosen} & {cases[number] for number in held}
    # All images of a case are held out, or none.
    assert held == [number for number, case in enumerate(cases) if case in {cases[each] for each in held}]
    assert chosen == sorted(chosen)


def test_half_of_the_cases_are_kept_where_they_hold_enough() -> None:
    cases = [case for case in 'abcdef' for _ in range(10)]
    _, held = draw_images(cases, 12, 0)
    assert len({cases[number] for number in held}) == 3
    assert len(held) == 30
    _, held = draw_images(cases, 45, 0)
    assert len({cases[number] for number in held}) == 1


def test_all_of_them_leave_nothing() -> None:
    assert draw_images(list('aab'), None, 0) == ([0, 1, 2], [])
    assert draw_images(list('aab'), 3, 0) == ([0, 1, 2], [])


def test_more_than_there_are_is_refused() -> None:
    with pytest.raises(ConfigError, match='--num 4: there are only 3'):
        draw(3, 4, 0)
    with pytest.raises(ConfigError, match='--num 4: there are only 3'):
        draw_images(list('aab'), 4, 0)
