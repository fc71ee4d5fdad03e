"""Data sets small enough to be written in a test, and trainings that waste no time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray

from mitouts.formats.coco import (
    HARD_NEGATIVE,
    MITOTIC_FIGURE,
    make_annotation,
    make_document,
    make_image,
    write_json,
)
from mitouts.imaging.image import write_rgb

EOSIN = (230, 190, 210)
HAEMATOXYLIN = (70, 30, 110)

settings.register_profile('repeatable', deadline=None, derandomize=True, database=None)
settings.load_profile('repeatable')

DatasetWriter = Callable[..., Path]


@pytest.fixture(scope='session', autouse=True)
def quick() -> Iterator[None]:
    """No layout of dumped configs and no garbage collection for every data set, half of a tiny training's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('yapf.yapflib.yapf_api.FormatCode', lambda text, **_: (text, True))
        patch.setattr('mmengine.dataset.base_dataset.gc', SimpleNamespace(collect=lambda: 0))
        yield


def draw_field(width: int, height: int, points: Sequence[Sequence[float]], sigma_px: float = 2.5) -> NDArray[np.uint8]:
    """A bright RGB field ``(height, width, 3)`` with a dark Gaussian blob at each point ``(x, y)``."""
    rows, columns = np.mgrid[:height, :width]
    darkness = np.zeros((height, width))
    for x, y in points:
        distance_sq = (columns - x) ** 2 + (rows - y) ** 2
        darkness = np.maximum(darkness, np.exp(-distance_sq / (2 * sigma_px**2)))
    bright, dark = np.array(EOSIN, dtype=float), np.array(HAEMATOXYLIN, dtype=float)
    return np.rint(bright + darkness[..., None] * (dark - bright)).astype(np.uint8)


@pytest.fixture
def field() -> Callable[..., NDArray[np.uint8]]:
    """The function :func:`draw_field`."""
    return draw_field


@pytest.fixture
def write_dataset(tmp_path: Path) -> DatasetWriter:
    """Writes images and their annotation file.

    Each sample is a mapping: ``points`` and ``hard_negatives`` (lists of ``(x, y)``), ``label``,
    ``teacher_score``, ``case_id``; what is left out is empty, unknown, or the sample's number.
    """

    def write(
        samples: Sequence[Mapping[str, Any]],
        name: str = 'train',
        *,
        size_px: tuple[int, int] = (64, 48),
        image_folder: str = 'images',
        **info: Any,
    ) -> Path:
        width, height = size_px
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number, sample in enumerate(samples, start=1):
            figures, look_alikes = sample.get('points', []), sample.get('hard_negatives', [])
            pixels = draw_field(width, height, [*figures, *look_alikes])
            file_name = f'{name}_{number}.png'
            write_rgb(tmp_path / image_folder / file_name, pixels)
            extra = {key: sample[key] for key in ('label', 'teacher_score') if key in sample}
            case_id = sample.get('case_id', f'case_{number}')
            listed = file_name if 'image_root' in info else f'{image_folder}/{file_name}'
            images.append(make_image(number, listed, width, height, case_id=case_id, mpp=0.25, **extra))
            annotated = [(MITOTIC_FIGURE, point) for point in figures]
            annotated += [(HARD_NEGATIVE, point) for point in look_alikes]
            for category, (x, y) in annotated:
                annotations.append(make_annotation(len(annotations) + 1, number, category, float(x), float(y)))
        path = tmp_path / f'{name}.json'
        write_json(path, make_document(images, annotations, name=name, tool='tests', **info))
        return path

    return write


@pytest.fixture
def tiny_dataset(write_dataset: DatasetWriter) -> Path:
    """Eight 64 x 48 px images: three with figures, two with a look-alike, three empty."""
    return write_dataset(
        [
            {'points': [(20.0, 30.0)]},
            {'points': [(40.5, 10.25), (12.0, 40.0)]},
            {'points': [(50.0, 20.0)], 'hard_negatives': [(15.0, 15.0)]},
            {'hard_negatives': [(33.0, 24.0)]},
            {'hard_negatives': [(10.0, 30.0)]},
            {},
            {},
            {},
        ]
    )
