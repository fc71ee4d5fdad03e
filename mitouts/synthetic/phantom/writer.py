"""Plans, writes and annotates the fields of a phantom data set, with noise in their labels."""

from __future__ import annotations

import dataclasses
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mitouts.formats import coco
from mitouts.imaging.image import write_rgb
from mitouts.synthetic.phantom.field import PhantomCase, PhantomConfig, PhantomField, draw_case, make_field

GENERATOR_VERSION = 1
SPLITS = ('train', 'val', 'test')
CASES_PER_SCANNER = {'train': 3, 'val': 2, 'test': 3}

_NO_IMAGE = np.empty((0, 0, 3), dtype=np.uint8)
_LABEL_STREAM, _CASE_STREAM, _FIELD_STREAM, _NOISE_STREAM = range(4)


@dataclass(frozen=True)
class Draw:
    """The plan of a field before it is rendered.

    Attributes:
        case_id: The synthetic case; no case is in two splits.
        positive: Whether it holds a mitotic figure.
    """

    split: str
    index: int
    case_id: str
    case: PhantomCase
    positive: bool
    seed: np.random.SeedSequence

    @property
    def file_name(self) -> str:
        """Path relative to the data set's root."""
        return f'images/{self.split}/{self.index:05d}.png'


def plan_split(config: PhantomConfig, split: str, num_fields: int, seed: int) -> list[Draw]:
    """Plan a split: the share of positive fields is exact (rounded), and cases alternate.

    Every case and every field has a seed of its own, so neither the number of fields nor the order in which they are
    rendered changes what a field looks like.

    Args:
        config: What fields look like; its scanners get ``CASES_PER_SCANNER`` cases each.
        split: One of ``SPLITS``.
    """
    number = SPLITS.index(split)
    first = sum(CASES_PER_SCANNER[name] for name in SPLITS[:number]) * len(config.scanners)
    cases = []
    for case_number in range(first, first + CASES_PER_SCANNER[split] * len(config.scanners)):
        scanner = config.scanners[case_number % len(config.scanners)]
        cases.append((f'case_{case_number:02d}', draw_case(config, _stream(seed, _CASE_STREAM, case_number), scanner)))
    order = _stream(seed, _LABEL_STREAM, number).permutation(num_fields)
    positives = set(order[: round(num_fields * config.positive_share)].tolist())
    return [
        Draw(
            split,
            index,
            *cases[index % len(cases)],
            positive=index in positives,
            seed=np.random.SeedSequence(seed, spawn_key=(_FIELD_STREAM, number, index)),
        )
        for index in range(num_fields)
    ]


def write_images(root: Path, config: PhantomConfig, draws: Sequence[Draw], workers: int) -> Iterator[PhantomField]:
    """Render fields into PNG files, and yield the fields without their pixels in the order of ``draws``.

    Args:
        workers: Number of processes; the files do not depend on it.
    """
    jobs = [(root, config, draw) for draw in draws]
    if workers == 1:
        yield from map(_write_image, jobs)
        return
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(workers, mp_context=context, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        yield from pool.map(_write_image, jobs, chunksize=4)


def mislabelled(fields: Sequence[PhantomField], noise: float, seed: int) -> set[tuple[int, int]]:
    """Choose the look-alikes that are annotated as mitotic figures.

    Args:
        noise: Share of all their look-alikes, 0-1; the number is exact (rounded), and the look-alikes of a smaller
            share are among those of a larger one.
        seed: The data set's seed; the choice has a stream of its own.

    Returns:
        Pairs (field, look-alike) of indices.
    """
    candidates = [
        (number, index) for number, field in enumerate(fields) for index in range(len(field.look_alike_kinds))
    ]
    order = _stream(seed, _NOISE_STREAM).permutation(len(candidates))
    return {candidates[index] for index in order[: round(noise * len(candidates))].tolist()}


def annotate(
    draws: Sequence[Draw],
    fields: Sequence[PhantomField],
    config: PhantomConfig,
    noisy: set[tuple[int, int]],
    hard_negatives: bool,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the entries of ``images`` and ``annotations``.

    ``is_noise`` marks label noise, for analysis only: an annotation has it if it is really a look-alike, an image if
    all its annotated mitotic figures are.

    Args:
        noisy: The look-alikes annotated as mitotic figures, as :func:`mislabelled` gives them.
        hard_negatives: Whether the other look-alikes are annotated as hard negatives.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (draw, field) in enumerate(zip(draws, fields, strict=True)):
        marks = [
            (coco.MITOTIC_FIGURE, point, kind, False) for point, kind in zip(field.points, field.kinds, strict=True)
        ]
        for index, (point, kind) in enumerate(zip(field.look_alike_points, field.look_alike_kinds, strict=True)):
            if (number, index) in noisy:
                marks.append((coco.MITOTIC_FIGURE, point, kind, True))
            elif hard_negatives:
                marks.append((coco.HARD_NEGATIVE, point, kind, False))
        for category_id, point, kind, is_noise in marks:
            x, y = (round(float(value), 2) for value in point)
            annotations.append(
                coco.make_annotation(len(annotations) + 1, number + 1, category_id, x, y, kind=kind, is_noise=is_noise)
            )
        images.append(
            coco.make_image(
                number + 1,
                draw.file_name,
                config.size_px,
                config.size_px,
                case_id=draw.case_id,
                mpp=config.mpp,
                scanner=field.scanner,
                split=draw.split,
                is_noise=not draw.positive and any(is_noise for *_, is_noise in marks),
            )
        )
    return images, annotations


def _write_image(job: tuple[Path, PhantomConfig, Draw]) -> PhantomField:
    root, config, draw = job
    field = make_field(config, draw.seed, draw.positive, draw.case)
    write_rgb(root / draw.file_name, field.image)
    return dataclasses.replace(field, image=_NO_IMAGE)


def _stream(seed: int, *key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
