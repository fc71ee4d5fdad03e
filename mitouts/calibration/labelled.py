"""Opens labelled images of another domain, prepared as a model needs them: pipeline, classes and colours."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mitouts.checkpoint import config_of
from mitouts.errors import AnnotationError, AnnotationWarning, CheckpointError, ConfigError
from mitouts.formats.coco import read_coco
from mitouts.registry import DATASETS
from mitouts.stain import build_normalizer
from mitouts.stain.preparation import describe_colours

PIPELINE = [dict(type='LoadImage'), dict(type='PackPointSample')]


def open_labelled(
    checkpoint: Mapping[str, Any],
    source: Path,
    ann_file: Path,
    *,
    data_root: Path | None = None,
    categories: Sequence[int] | None = None,
    split: str | None = None,
    cases: Sequence[str] | None = None,
) -> Any:
    """Open the labelled images as a data set, prepared like those that the model was validated on.

    Args:
        checkpoint: Content of the model's checkpoint.
        source: The model's checkpoint, for errors.
        ann_file: Annotation file of the images.
        data_root: Folder of the images; None for that which ``ann_file`` names.
        categories: Ids of the categories that are figures; None takes the model's classes by their names.
        split: Only images with this split.
        cases: Only images of these cases.

    Raises:
        CheckpointError: It has no config.
        AnnotationError: The file has none of the model's classes.
    """
    validated = (config_of(checkpoint, source).get('val_dataloader') or {}).get('dataset', {})
    return DATASETS.build(
        dict(
            type='PointDataset',
            ann_file=str(ann_file),
            data_root=None if data_root is None else str(data_root),
            positive_categories=categories or positive_categories(ann_file, checkpoint['meta']['mitouts']),
            split=split,
            case_subset=cases,
            pipeline=validated.get('pipeline') or PIPELINE,
        )
    )


def with_stain(
    calibration: Mapping[str, Any], source: Path, method: str, reference: Path | None = None
) -> dict[str, Any]:
    """Return the calibration of a model whose images are to be normalized from now on.

    Args:
        calibration: That of a model that was trained on images as they are.
        source: The model's checkpoint.
        method: Stain normalization, such as ``macenko``.
        reference: Image or JSON of the colours of its training images.

    Raises:
        CheckpointError: It was trained on normalized images already.
        ConfigError: ``method`` is none.
    """
    if calibration.get('stain_reference') is not None:
        raise CheckpointError(
            f'{source} was trained on images {describe_colours(calibration["stain_reference"])}, and all '
            'images are brought to these colours: leave out --stain'
        )
    normalizer = build_normalizer(method, reference)
    if normalizer is None:
        raise ConfigError('--stain none: leave it out, the model takes images as they are')
    return {**calibration, 'stain_reference': {**normalizer.describe(), 'fit': 'image'}}


def positive_categories(ann_file: Path, calibration: Mapping[str, Any]) -> list[int]:
    """Return the ids of the file's categories whose names the model was validated on.

    Raises:
        AnnotationError: It has none of them.
    """
    with warnings.catch_warnings():
        # The data set reads the file as well, and tells them.
        warnings.simplefilter('ignore', AnnotationWarning)
        categories = {entry['name']: entry['id'] for entry in read_coco(ann_file)['categories']}
    names = calibration.get('classes') or ['mitotic figure']
    matching = [categories[name] for name in names if name in categories]
    if not matching:
        raise AnnotationError(
            f'{ann_file} has no category {" or ".join(map(repr, names))}, which the model finds; it has '
            f'{", ".join(categories)}: say with --category which ids are meant'
        )
    return matching
