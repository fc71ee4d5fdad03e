"""Which test images are shown, and what is said of the points on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mitouts.evaluation.records import ImageRecord
from mitouts.imaging.image import write_rgb
from mitouts.visualization.field_of_view import overlay_of, pick_examples
from mitouts.visualization.marks import FALSE_POSITIVE_MARK, PREDICTED_MARK


def _record(image_id: int, label: int, truth: list[list[float]], points: list[list[float]]) -> ImageRecord:
    return ImageRecord(
        image_id=image_id,
        case_id='a',
        label=label,
        score=0.9,
        map_max=0.9,
        truth=np.array(truth, dtype=np.float64).reshape(-1, 2),
        counted=np.ones(len(truth), dtype=bool),
        cut=np.zeros((0, 2)),
        points=np.array(points, dtype=np.float64).reshape(-1, 3),
        width=200,
        height=200,
        mpp=None,
    )


POINT = [100.0, 100.0, 0.9]
FOUND = _record(1, 1, [[102.0, 100.0]], [POINT])
BY_LABEL = _record(2, 1, [], [POINT])
FALSE = _record(3, 0, [], [POINT])


def _has_colour(record: ImageRecord, colour: tuple[int, int, int], path: Path) -> bool:
    write_rgb(path, np.full((200, 200, 3), 230, np.uint8))
    overlay = overlay_of(record, path, threshold=0.5, radius_px=30)
    return bool((overlay == np.array(colour)).all(axis=2).any())


def test_points_on_an_image_known_by_its_label_are_not_called_false(tmp_path: Path) -> None:
    false, predicted = FALSE_POSITIVE_MARK.colour, PREDICTED_MARK.colour
    path = tmp_path / 'a.png'
    assert not _has_colour(BY_LABEL, false, path)
    assert _has_colour(BY_LABEL, predicted, path)
    assert _has_colour(FALSE, false, path)


def test_images_that_cannot_be_judged_come_last() -> None:
    chosen = pick_examples([BY_LABEL, FALSE, FOUND], threshold=0.5, radius_px=30)
    assert [record.image_id for record in chosen] == [1, 3, 2]
    assert pick_examples([BY_LABEL], threshold=0.5, radius_px=30) == [BY_LABEL]
