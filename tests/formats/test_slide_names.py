"""Slides of one file name: what tables and folders call them, and which file is meant."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from mitouts.formats.slide_names import folder_names, match_slides, relative_names


@pytest.mark.parametrize(
    ('paths', 'names'),
    [
        (['/d/a.tif'], ['a.tif']),
        (['/d/c1/1.tif', '/d/c2/1.tif'], ['c1/1.tif', 'c2/1.tif']),
        (['/d/x/1.svs', '/d/2.svs'], ['x/1.svs', '2.svs']),
        (['/d/x/y/../1.svs', '/d/x/2.svs'], ['1.svs', '2.svs']),
        (['/1.svs', '/e/2.svs'], ['1.svs', 'e/2.svs']),
        ([], []),
    ],
)
def test_names_are_paths_below_the_common_folder(paths: list[str], names: list[str]) -> None:
    assert relative_names([Path(path) for path in paths]) == names


@pytest.mark.parametrize(
    ('paths', 'names'),
    [
        (['/d/a.tif', '/e/b.tif'], ['a', 'b']),
        (['/d/c1/1.tif', '/d/c2/1.tif', '/d/c2/2.tif'], ['c1_1', 'c2_1', '2']),
        (['/d/c1/x/1.tif', '/d/c2/x/1.tif'], ['c1_x_1', 'c2_x_1']),
        (['/d/1.tif', '/d/1.svs'], ['1.tif', '1.svs']),
        (['/d/C1/1.tif', '/d/c1/1.svs'], ['1.tif', '1.svs']),
        (['/d/b/1.tif', '/d/c/1.tif', '/d/c/1.svs'], ['b_1.tif', 'c_1.tif', 'c_1.svs']),
        (['/d/counts.csv.tif'], ['counts.csv-2']),
        (['/d/...tif'], ['slide']),
        (['/d/c1/1.tif', '/d/c2/1.tif', '/d/c1_1.tif'], ['c1_1', 'c2_1', 'c1_1-2']),
    ],
)
def test_folders_have_short_names_of_their_own(paths: list[str], names: list[str]) -> None:
    assert folder_names([Path(path) for path in paths], taken=['counts.csv', 'counts.json']) == names


def test_a_folder_keeps_its_name_in_any_order() -> None:
    paths = [Path('/d/c1/1.tif'), Path('/d/c2/1.tif'), Path('/d/c2/1.svs'), Path('/e/2.tif')]
    found = {frozenset(zip(order, folder_names(order))) for order in itertools.permutations(paths)}
    assert len(found) == 1


@pytest.mark.parametrize(
    ('names', 'paths', 'matches'),
    [
        (['a.tif'], ['/x/a.tif'], [[0]]),
        (['A.TIF', 'b.tif'], ['/x/b.tif', '/x/a.tif'], [[1], [0]]),
        (['a.tif'], ['/x/a.svs'], [[0]]),
        (['a.tif'], ['/x/a.svs', '/x/a.tif'], [[1]]),
        (['c1/1.tif', 'c2/1.tif'], ['/s/c2/1.tif', '/s/c1/1.tif'], [[1], [0]]),
        (['wsi\\c1\\1.tif', 'wsi\\c2\\1.tif'], ['/s/c2/1.tif', '/s/c1/1.tif'], [[1], [0]]),
        (['c1/1.tif', 'c2/1.tif'], ['/s/c1/1.tif'], [[0], []]),
        (['wsi/1.tif'], ['/s/c1/1.tif'], [[0]]),
        (['1.tif'], ['/s/c1/1.tif', '/s/c2/1.tif'], [[0, 1]]),
        (['x/1.tif', 'y/1.tif'], ['/s/1.tif'], [[0], [0]]),
        (['1.tif'], [], [[]]),
        ([], ['/s/1.tif'], []),
        (['other.tif'], ['/s/1.tif'], [[]]),
    ],
)
def test_the_file_that_shares_most_of_the_path_is_meant(names, paths, matches) -> None:
    assert match_slides(names, paths) == matches
