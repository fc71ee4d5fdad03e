"""Plans and writes phantom fields of tissue regions, with their label images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mitouts.imaging.image import write_rgb
from mitouts.imaging.label_image import write_labels
from mitouts.synthetic.optics import SCANNERS
from mitouts.synthetic.phantom.field import PhantomCase, PhantomConfig, draw_case
from mitouts.synthetic.phantom.regions import make_region_field

SPLITS = ('train', 'val', 'test')
CASES_PER_SPLIT = {'train': 8, 'val': 4, 'test': 4}
_CASE_STREAM, _FIELD_STREAM = range(2)


@dataclass(frozen=True)
class Draw:
    """The plan of a field before it is rendered."""

    name: str
    split: str
    case_id: str
    case: PhantomCase
    seed: np.random.SeedSequence


def plan(counts: dict[str, int], seed: int) -> list[Draw]:
    """Plan all fields: cases alternate, no case is in two splits, and every field has a seed of its own."""
    draws, number = [], 0
    for split_number, split in enumerate(SPLITS):
        cases = []
        for _ in range(CASES_PER_SPLIT[split]):
            scanner = list(SCANNERS)[number % len(SCANNERS)]
            generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_CASE_STREAM, number)))
            cases.append((f'case_{number:02d}', draw_case(PhantomConfig(), generator, scanner)))
            number += 1
        for index in range(counts[split]):
            case_id, case = cases[index % len(cases)]
            field_seed = np.random.SeedSequence(seed, spawn_key=(_FIELD_STREAM, split_number, index))
            draws.append(Draw(f'{case_id}_{index:03d}', split, case_id, case, field_seed))
    return draws


def write_field(job: tuple[Path, int, float, Draw]) -> None:
    """Render one field into its two files."""
    root, size_px, mpp, draw = job
    field = make_region_field(size_px, mpp, draw.case, np.random.default_rng(draw.seed))
    write_rgb(root / 'images' / f'{draw.name}.png', field.image)
    write_labels(root / 'masks' / f'{draw.name}.png', field.codes)


def splits_csv(draws: list[Draw]) -> str:
    """Return a CSV of case and split, one line per case."""
    rows = dict.fromkeys(f'{draw.case_id},{draw.split}\n' for draw in draws)
    return ''.join(['case_id,split\n', *rows])
