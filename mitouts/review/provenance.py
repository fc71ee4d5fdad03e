"""Where the items of a review come from."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from typing import Any

from mitouts.errors import ReviewError
from mitouts.formats.hard_samples import read_hard_samples
from mitouts.review.items import Include, radius_px
from mitouts.utils.files import file_sha256
from mitouts.utils.version import code_version

FileName = str | os.PathLike[str]


def review_provenance(
    hard_samples: FileName, annotations: FileName, *, include: Include, num_controls: int, seed: int
) -> dict[str, Any]:
    """What is written into the database of a review when it is made.

    Args:
        hard_samples: ``hard_samples.json``.
        annotations: The annotation file that was distilled.
        include: As for :func:`mitouts.review.items.build_items`.
        num_controls: As there.
        seed: As there.

    Raises:
        ReviewError: The hard samples say that they were made from another annotation file.
    """
    content = read_hard_samples(hard_samples)
    info = content['info']
    annotations_sha256 = file_sha256(annotations)
    if info.get('source_sha256') not in (None, annotations_sha256):
        raise ReviewError(
            f'{hard_samples} was made from another file than {annotations}: expected the annotation file with SHA-256 '
            f'{info["source_sha256"]} (it was called {info.get("distilled_from")}), found {annotations_sha256}'
        )
    return {
        'hard_samples_sha256': file_sha256(hard_samples),
        'annotations_sha256': annotations_sha256,
        'teacher_sha256': info.get('teacher_sha256'),
        'criterion': info.get('criterion'),
        'map_threshold': info.get('map_threshold'),
        'radius_px': radius_px(content),
        'include': include,
        'num_controls': num_controls,
        'seed': seed,
        'created_at': datetime.now(timezone.utc).isoformat(timespec='seconds'),
        'version': code_version(),
    }
