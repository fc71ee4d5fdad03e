from __future__ import annotations

import tracemalloc
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from mitouts.functional import assignment
from mitouts.functional.matching import (
    count_images,
    has_neighbour,
    match_images_by_score,
    match_one_to_one,
    pairs_within,
)

RADIUS_PX = 30.0
NEVER = 10**9
every_solver = pytest.mark.parametrize(
    'solver',
    [
        {'_MIN_DENSE_ENTRIES': 1, '_MAX_ENTRIES_PER_EDGE': NEVER},
        {'_MIN_DENSE_ENTRIES': NEVER},
        {'_MIN_DENSE_ENTRIES': NEVER, '_MAX_BIDDING_ROUNDS': 0},
    ],
    ids=['dense', 'bids and paths', 'paths only'],
)


def lattice_points(max_size: int) -> st.SearchStrategy[np.ndarray]:
    """Points on a coarse lattice: many ties, duplicates, and distances of exactly the radius (18-24-30)."""
    coordinate = st.integers(0, 12).map(lambda step: 6.0 * step)
    return st.lists(st.tuples(coordinate, coordinate), max_size=max_size).map(as_points)


def free_points(max_size: int) -> st.SearchStrategy[np.ndarray]:
    coordinate = st.floats(0, 100, allow_nan=False)
    return st.lists(st.tuples(coordinate, coordinate), max_size=max_size).map(as_points)


def as_points(values: list[tuple[float, float]]) -> np.ndarray:
    return np.array(values, dtype=np.float64).reshape(-1, 2)


def presence_counts(pred, truth, radius_px: float) -> tuple[int, ...]:
    return tuple(count_images([pred], [truth], radius_px, protocol='presence')[0].tolist())


def brute_force(pred: np.ndarray, truth: np.ndarray) -> tuple[int, float]:
    """Number and total distance of the best matching, tried out exhaustively."""
    distance = cdist(pred, truth) if len(pred) and len(truth) else np.zeros((len(pred), len(truth)))

    def best(first: int, free: frozenset[int]) -> tuple[int, float]:
        if first == len(pred):
            return 0, 0.0
        options = [best(first + 1, free)]
        for index in free:
            if distance[first, index] <= RADIUS_PX:
                number, total = best(first + 1, free - {index})
                options.append((number + 1, total - distance[first, index]))
        return max(options)

    number, total = best(0, frozenset(range(len(truth))))
    return number, -total


def dense_scipy(pred: np.ndarray, truth: np.ndarray) -> tuple[int, float]:
    distance = cdist(pred, truth)
    cost = np.where(distance <= RADIUS_PX, distance, 1e6)
    rows, cols = linear_sum_assignment(cost)
    hits = distance[rows, cols][distance[rows, cols] <= RADIUS_PX]
    return len(hits), float(hits.sum())


def uniform(generator: np.random.Generator, number: int, neighbours: float) -> np.ndarray:
    """Points at a density that puts so many of them into a circle of the radius."""
    side = np.sqrt(number * np.pi * RADIUS_PX**2 / neighbours)
    return generator.random((number, 2)) * side


def assert_is_matching(matches, pred: np.ndarray, truth: np.ndarray) -> None:
    assert len(set(matches.pred_index.tolist())) == len(matches.pred_index)
    assert len(set(matches.truth_index.tolist())) == len(matches.truth_index)
    distance = np.linalg.norm(pred[matches.pred_index] - truth[matches.truth_index], axis=1)
    np.testing.assert_allclose(matches.distance_px, distance, atol=1e-12)
    assert (matches.distance_px <= RADIUS_PX).all()


@every_solver
@settings(deadline=None, max_examples=80)
@given(pred=lattice_points(5) | free_points(5), truth=lattice_points(5) | free_points(5))
def test_equals_brute_force(pred, truth, solver):
    with patch.multiple(assignment, **solver):
        matches = match_one_to_one(pred, truth, RADIUS_PX)
    assert_is_matching(matches, pred, truth)
    number, total = brute_force(pred, truth)
    assert len(matches.pred_index) == number
    assert matches.distance_px.sum() == pytest.approx(total, abs=1e-9)


@every_solver
@pytest.mark.parametrize('neighbours', [1, 4, 8, 25])
@pytest.mark.parametrize(('num_pred', 'num_truth'), [(300, 300), (420, 200), (200, 420)])
@pytest.mark.parametrize('lattice', [False, True])
def test_equals_dense_scipy(num_pred, num_truth, neighbours, lattice, solver):
    generator = np.random.default_rng(num_pred + int(neighbours))
    truth = uniform(generator, num_truth, neighbours)
    pred = generator.random((num_pred, 2)) * truth.max()
    if lattice:
        pred, truth = np.round(pred / 6) * 6, np.round(truth / 6) * 6
    with patch.multiple(assignment, **solver):
        matches = match_one_to_one(pred, truth, RADIUS_PX)
    assert_is_matching(matches, pred, truth)
    number, total = dense_scipy(pred, truth)
    assert len(matches.pred_index) == number
    assert matches.distance_px.sum() == pytest.approx(total, abs=1e-7)


def test_more_pairs_go_before_nearer_ones():
    matches = match_one_to_one([[0, 0], [20, 0]], [[15, 0], [45, 0]], RADIUS_PX)
    assert matches.pred_index.tolist() == [0, 1]
    assert matches.truth_index.tolist() == [0, 1]
    assert matches.distance_px.tolist() == [15.0, 25.0]


def test_radius_is_inclusive():
    assert match_one_to_one([[0.0, 0.0]], [[18.0, 24.0]], 30.0).distance_px.tolist() == [30.0]
    assert len(match_one_to_one([[0.0, 0.0]], [[18.0, 24.0]], np.nextafter(30.0, 0)).distance_px) == 0
    assert presence_counts([[0.0, 0.0]], [[18.0, 24.0]], 30.0) == (1, 0, 0)
    assert presence_counts([[0.0, 0.0]], [[18.0, 24.0]], np.nextafter(30.0, 0)) == (0, 1, 1)


def test_second_prediction_on_a_figure():
    pred, truth = np.zeros((3, 2)), np.zeros((1, 2))
    assert count_images([pred], [truth], 30.0, protocol='one_to_one').tolist() == [[1, 2, 0]]
    assert presence_counts(pred, truth, 30.0) == (3, 0, 0)


@pytest.mark.parametrize('empty', [np.zeros((0, 2)), [], np.zeros(0)])
def test_empty_sides(empty):
    points = [[1.0, 2.0], [3.0, 4.0]]
    for pred, truth in ((empty, points), (points, empty), (empty, empty)):
        assert [len(column) for column in match_one_to_one(pred, truth, 30.0)] == [0, 0, 0]
    assert presence_counts(empty, points, 30.0) == (0, 0, 2)
    assert presence_counts(points, empty, 30.0) == (0, 2, 0)
    assert presence_counts(empty, empty, 30.0) == (0, 0, 0)


@settings(deadline=None, max_examples=80)
@given(pred=lattice_points(8), truth=lattice_points(8))
def test_presence_equals_its_definition(pred, truth):
    near = (cdist(pred, truth) if len(pred) and len(truth) else np.full((len(pred), len(truth)), np.inf)) <= RADIUS_PX
    expected = int(near.any(axis=1).sum()), int((~near.any(axis=1)).sum()), int((~near.any(axis=0)).sum())
    assert presence_counts(pred, truth, RADIUS_PX) == expected


@settings(deadline=None, max_examples=80)
@given(
    pred=lattice_points(10),
    truth=lattice_points(8),
    scores=st.lists(st.sampled_from([0.1, 0.4, 0.5, 0.9]), min_size=10, max_size=10),
)
def test_by_score_equals_the_sequential_rule(pred, truth, scores):
    scores = np.array(scores[: len(pred)])
    expected, taken = {}, set()
    for index in np.argsort(-scores, kind='stable').tolist():
        options = [
            (float(np.hypot(*(pred[index] - truth[other]))), other)
            for other in range(len(truth))
            if other not in taken and np.hypot(*(pred[index] - truth[other])) <= RADIUS_PX
        ]
        if options:
            expected[index] = min(options)[1]
            taken.add(expected[index])
    matches = match_images_by_score([np.column_stack([pred, scores])], [truth], RADIUS_PX)
    assert dict(zip(matches.pred_index.tolist(), matches.truth_index.tolist())) == expected


def test_many_images_equal_one_at_a_time():
    generator = np.random.default_rng(3)
    preds = [generator.random((size, 2)) * 100 for size in (7, 0, 12, 30, 1)]
    truths = [generator.random((size, 2)) * 100 for size in (9, 4, 0, 25, 1)]
    radii = [30.0, 10.0, 5.0, 12.5, 200.0]
    with patch('mitouts.functional.matching._MAX_POINTS_PER_BATCH', 20):
        counts = {name: count_images(preds, truths, radii, protocol=name) for name in ('one_to_one', 'presence')}
    for image, (pred, truth, radius) in enumerate(zip(preds, truths, radii)):
        hits = len(match_one_to_one(pred, truth, radius).pred_index)
        assert counts['one_to_one'][image].tolist() == [hits, len(pred) - hits, len(truth) - hits]
        assert counts['presence'][image].tolist() == list(presence_counts(pred, truth, radius))


def test_points_of_different_images_never_meet():
    counts = count_images([[[0.0, 0.0]], []], [[], [[0.0, 0.0]]], 1e6, protocol='one_to_one')
    assert counts.tolist() == [[0, 1, 0], [0, 0, 1]]


def test_a_slide_in_one_connected_component_needs_no_dense_matrix():
    generator = np.random.default_rng(0)
    truth = uniform(generator, 10_000, neighbours=7)
    pred = generator.random((10_000, 2)) * truth.max()
    tracemalloc.start()
    matches = match_one_to_one(pred, truth, RADIUS_PX)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert_is_matching(matches, pred, truth)
    assert peak_bytes < 10_000 * 10_000 / 2


@pytest.mark.parametrize(
    ('pred', 'truth', 'radius', 'message'),
    [
        ([[0.0, 0.0, 0.5]], [[0.0, 0.0]], 30.0, r'predicted points: .*\(N, 2\) .*found \(1, 3\)'),
        ([[0.0, 0.0]], [[0.0, np.nan]], 30.0, 'annotated points: expected finite numbers'),
        ([[0.0, 0.0]], [[0.0, 0.0]], -1.0, 'radius must be finite and not negative, found -1'),
        ([[0.0, 0.0]], [[0.0, 0.0]], [1.0, 2.0], 'one radius, or one for each of 1 images'),
    ],
)
def test_refuses(pred, truth, radius, message):
    with pytest.raises(ValueError, match=message):
        match_one_to_one(pred, truth, radius)


def test_refuses_unequal_numbers_of_images_and_unknown_protocols():
    with pytest.raises(ValueError, match='found 2 and 1 arrays'):
        count_images([[], []], [[]], 30.0, protocol='one_to_one')
    with pytest.raises(ValueError, match="'one_to_one' or 'presence', found 'greedy'"):
        count_images([[]], [[]], 30.0, protocol='greedy')


@pytest.mark.parametrize('protocol', ['one_to_one', 'presence'])
def test_ignored_points_excuse_unmatched_predictions_only(protocol):
    generator = np.random.default_rng(3)
    for _ in range(30):
        preds = [generator.uniform(0, 60, (generator.integers(0, 6), 2)) for _ in range(3)]
        truths = [generator.uniform(0, 60, (generator.integers(0, 4), 2)) for _ in range(3)]
        ignored = [generator.uniform(0, 60, (generator.integers(0, 3), 2)) for _ in range(3)]
        plain = count_images(preds, truths, 12, protocol=protocol)
        found = count_images(preds, truths, 12, protocol=protocol, ignored_xy=ignored)
        np.testing.assert_array_equal(found[:, [0, 2]], plain[:, [0, 2]])
        for image in range(3):
            if protocol == 'one_to_one':
                matched = set(match_one_to_one(preds[image], truths[image], 12).pred_index.tolist())
            else:
                matched = {
                    i for i, p in enumerate(preds[image]) if any(np.hypot(*(p - t)) <= 12 for t in truths[image])
                }
            excused = [
                i
                for i, p in enumerate(preds[image])
                if i not in matched and any(np.hypot(*(p - other)) <= 12 for other in ignored[image])
            ]
            assert plain[image, 1] - found[image, 1] == len(excused)


def test_has_neighbour_stays_within_the_image():
    found = has_neighbour([[[0, 0], [50, 0]], [[0, 0]], []], [[[30, 0]], [[0, 31]], [[0, 0]]], 30)
    np.testing.assert_array_equal(found, [True, True, False])


@given(images=st.lists(st.tuples(lattice_points(6), lattice_points(6)), min_size=1, max_size=4))
def test_pairs_within_are_those_of_the_table_of_distances(images: list[tuple[np.ndarray, np.ndarray]]) -> None:
    found = pairs_within([pred for pred, _ in images], [truth for _, truth in images], RADIUS_PX)
    expected = [
        (number, *pair)
        for number, (pred, truth) in enumerate(images)
        if len(pred) and len(truth)
        for pair in np.argwhere(cdist(pred, truth) <= RADIUS_PX).tolist()
    ]
    assert list(zip(*(each.tolist() for each in found[:3]))) == expected


@pytest.mark.parametrize('protocol', ['one_to_one', 'presence'])
@pytest.mark.parametrize('number', [0, 1, 3])
def test_ignored_points_of_other_images_are_refused(protocol, number):
    points = [np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])]
    with pytest.raises(ValueError, match=f'expected ignored points of 2 images, found {number} arrays'):
        count_images(points, points, 5, protocol=protocol, ignored_xy=[np.zeros((0, 2))] * number)
