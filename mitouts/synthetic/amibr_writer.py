"""Writes AMi-Br fields: plans each split, draws its images, and annotates them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mitouts.converters import amibr
from mitouts.formats import coco
from mitouts.imaging.image import write_rgb
from mitouts.synthetic import amibr_fields as fields

EVAL_POSITIVE_RATE = 0.5
PREVALENT_RATE = 0.1
NO_IMAGE = np.empty((0, 0, 3), dtype=np.uint8)

Made = tuple[fields.SlideCrops, fields.AmibrField]


@dataclass(frozen=True)
class Split:
    """One annotation file to make.

    Attributes:
        name: One of :data:`mitouts.synthetic.amibr_fields.SPLITS`.
        number: Its position in them, which its random numbers depend on.
        slides: Slides that its fields are drawn from.
        positive_rate: Share of positive fields.
        noise: Share of the positive fields that hold no figure.
    """

    name: str
    number: int
    slides: list[fields.SlideCrops]
    num_fields: int
    positive_rate: float
    noise: float


def plan_splits(
    slides: list[fields.SlideCrops],
    partition: str,
    num_fields: Mapping[str, int],
    *,
    positive_rate: float,
    noise: float,
    seed: int,
) -> Iterator[Split]:
    """Plan all splits; only ``train`` has a positive rate of its own and noise.

    Args:
        partition: ``paper``, or ``fold:K``.
        num_fields: Fields of ``train``, ``val`` and ``test``; ``val_p10`` and ``test_p10`` have as many as these.
        positive_rate: Share of positive training fields.
        noise: Share of positive training fields without a figure.
        seed: Seed of the folds.
    """
    if partition == 'paper':
        parts = fields.split_paper(slides)
    else:
        parts = fields.split_fold(slides, int(partition.removeprefix('fold:')), seed)
    for number, name in enumerate(fields.SPLITS):
        part = name.removesuffix('_p10')
        rate = PREVALENT_RATE if name.endswith('_p10') else EVAL_POSITIVE_RATE
        own = (positive_rate, noise) if name == 'train' else (rate, 0.0)
        yield Split(name, number, parts[part], num_fields[part], *own)


def write_images(out: Path, split: Split, grid: int, *, seed: int, workers: int) -> Iterator[Made]:
    """Draw the fields of a split into ``OUT/images/SPLIT/NNNNN.png``, and yield them in order, without their pixels."""
    folder = out / 'images' / split.name
    draws = fields.plan_fields(split.num_fields, split.positive_rate, split.noise, seed=seed, split_number=split.number)

    def make(draw: fields.Draw) -> Made:
        slide, field = fields.draw_field(split.slides, grid, draw)
        write_rgb(folder / f'{draw.index:05d}.png', field.image)
        return slide, dataclasses.replace(field, image=NO_IMAGE)

    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(make, draws)


def annotate(split: Split, made: Iterable[Made], grid: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the entries of ``images`` and ``annotations`` for the fields of a split."""
    side_px = grid * fields.TILE_PX
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, (slide, field) in enumerate(made, start=1):
        images.append(
            coco.make_image(
                image_id,
                f'images/{split.name}/{image_id - 1:05d}.png',
                side_px,
                side_px,
                case_id=Path(slide.slide).stem,
                mpp=amibr.CROP_MPP,
                scanner=fields.scanner_of_slide(slide.slide),
                split=split.name,
                is_noise=field.is_noise,
            )
        )
        # A point of noise marks no figure.
        uids = [{'source_uid': uid} for uid in field.source_uids] or [{}] * len(field.points)
        for (x, y), uid in zip(field.points.tolist(), uids, strict=True):
            number = len(annotations) + 1
            annotations.append(
                coco.make_annotation(number, image_id, coco.MITOTIC_FIGURE, x, y, **uid, is_noise=field.is_noise)
            )
    return images, annotations
