"""Which test images are shown, and what is said of the points on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from image_records import changed, evaluated

from mitouts.imaging.image import write_rgb
from mitouts.structures import EvaluatedImage
from mitouts.visualization.field_of_view import overlay_of, pick_examples
from mitouts.visualization.marks import FALSE_POSITIVE_MARK, PREDICTED_MARK

POINT = [100.0, 100.0, 0.9]
FOUND = evaluated(1, [[102.0, 100.0]], [POINT])
BY_LABEL = evaluated(2, [], [POINT], label=1)
FALSE = evaluated(3, [], [POINT])


def _has_colour(record: EvaluatedImage, colour: tuple[int, int, int], path: Path) -> bool:
    write_rgb(path, np.full((240, 240, 3), 230, np.uint8))
    overlay = overlay_of(changed(record, path=str(path)), threshold=0.5, radius_px=30)
    return bool((overlay == np.array(colour)).all(axis=2).any())


def test_points_on_an_image_known_by_its_label_are_not_called_false(tmp_path: Path) -> None:
    false, predicted = FALSE_POSITIVE_MARK.colour, PREDICTED_MARK.colour
    path = tmp_path / 'a.png'
    assert not _has_colour(BY_LABEL, false, path)
    assert _has_colour(BY_LABEL, predicted, path)
    assert _has_colour(FALSE, false, path)


def test_images_that_cannot_be_judged_come_last() -> None:
    chosen = pick_examples([BY_LABEL, FALSE, FOUND], threshold=0.5, radius_px=30)
    assert [record.truth.image_id for record in chosen] == [1, 3, 2]
    assert pick_examples([BY_LABEL], threshold=0.5, radius_px=30) == [BY_LABEL]
