"""Puts fields of tissue together from real crops of AMi-Br, so that localization can be tested on real pixels.

A field is a grid of 48 px tiles from the crops of one slide. The figure is in the middle of its 128 px crop, so a tile
cut from a crop's corner is background and one cut around the middle is positive. The tiles are real, their layout is
not: results on fields are a substitute for results on slides and must be reported as such.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mitouts.converters.amibr import CROP_CENTER_PX, CROP_PX, Figure, has_padding
from mitouts.converters.midog import MIDOG21_IDS, PAPER, scanner_of
from mitouts.errors import MitoutsError
from mitouts.utils.defaults import NUM_FOLDS

TILE_PX = 48
JITTER_PX = 8
TWO_FIGURES_RATE = 0.2
MIN_CROPS = 3
# A corner tile ends this far from the middle of its own crop; other figures of the slide are kept as far away.
CLEARANCE_PX = CROP_CENTER_PX - (TILE_PX - 1)
BLOB_SIGMA_PX = 3.0
SPLITS = ('train', 'val', 'test', 'val_p10', 'test_p10')

_CORNERS = tuple((x, y) for y in (0, CROP_PX - TILE_PX) for x in (0, CROP_PX - TILE_PX))


@dataclass(frozen=True)
class SlideCrops:
    """The crops of one slide, from which its fields are made.

    Attributes:
        crops: RGB uint8 of shape (N, 128, 128, 3).
        uids: The N figures' ids.
        positives: Indices of the crops whose middle shows no second figure.
        corners: (crop, x, y) of every tile that shows no figure, with (x, y) its first pixel.
    """

    slide: str
    crops: np.ndarray
    uids: tuple[str, ...]
    positives: tuple[int, ...]
    corners: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class AmibrField:
    """One field.

    Attributes:
        image: RGB uint8 of shape (48 * grid, 48 * grid, 3).
        points: The annotated points ``(x, y)`` in pixels, float64 of shape (K, 2).
        source_uids: The id of the figure that each point marks; empty for noise, which marks none.
        is_noise: Whether the field holds no figure although it is annotated.
    """

    image: np.ndarray
    points: np.ndarray
    source_uids: tuple[str, ...]
    is_noise: bool


def collect_slides(figures: Sequence[Figure], crops: Sequence[np.ndarray]) -> tuple[list[SlideCrops], dict[str, int]]:
    """Group crops by slide, leaving out crops and slides that no field can be made of.

    Args:
        figures: Every known figure, including those that are left out: the background avoids all of them.
        crops: The figures' crops in the same order, each (128, 128, 3) uint8.

    Returns:
        The usable slides, by name, and the counts of what was left out: ``padded_crops`` (they reach over the
        slide's border),
        ``unusable_slides`` (fewer than three crops remain, or all of them show several figures) and
        ``crops_of_unusable_slides``.
    """
    by_slide: dict[str, list[int]] = {}
    for index, figure in enumerate(figures):
        by_slide.setdefault(figure.slide, []).append(index)
    left_out = {'padded_crops': 0, 'unusable_slides': 0, 'crops_of_unusable_slides': 0}
    slides: list[SlideCrops] = []
    for slide, members in sorted(by_slide.items()):
        usable = [index for index in members if not has_padding(crops[index])]
        left_out['padded_crops'] += len(members) - len(usable)
        collected = _collect_slide(slide, [figures[i] for i in members], figures, crops, usable)
        if len(usable) < MIN_CROPS or not collected.positives or not collected.corners:
            left_out['unusable_slides'] += 1
            left_out['crops_of_unusable_slides'] += len(usable)
        else:
            slides.append(collected)
    return slides, left_out


@dataclass(frozen=True)
class Draw:
    """The plan of a field before it is made: its place in the split, its label, and its own seed."""

    index: int
    positive: bool
    noisy: bool
    seed: np.random.SeedSequence


def plan_fields(num_fields: int, positive_rate: float, noise: float, *, seed: int, split_number: int) -> list[Draw]:
    """Choose the positive fields of a split and the noisy ones among them; both shares are exact (rounded).

    Every field has a seed of its own, so a different noise share changes only the fields that become noisy or stop
    being so, and the noisy fields of a smaller share are among those of a larger one.
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, split_number)))
    positives = rng.permutation(num_fields)[: _rounded(num_fields * positive_rate)]
    noisy = set(positives[: _rounded(len(positives) * noise)].tolist())
    positive = set(positives.tolist())
    return [
        Draw(index, index in positive, index in noisy, np.random.SeedSequence(seed, spawn_key=(2, split_number, index)))
        for index in range(num_fields)
    ]


def draw_field(slides: Sequence[SlideCrops], grid: int, draw: Draw) -> tuple[SlideCrops, AmibrField]:
    """Draw a slide with probability proportional to its number of usable crops, and make the field from it."""
    rng = np.random.default_rng(draw.seed)
    sizes = np.array([len(slide.crops) for slide in slides], dtype=np.float64)
    slide = slides[rng.choice(len(slides), p=sizes / sizes.sum())]
    return slide, build_field(slide, grid, rng, positive=draw.positive, noisy=draw.noisy)


def build_field(slide: SlideCrops, grid: int, rng: np.random.Generator, *, positive: bool, noisy: bool) -> AmibrField:
    """Make one field.

    The background is drawn first and in the same way for every field, so a field's background does not tell its label,
    and the same generator gives the same background whether the field becomes negative, positive or noisy.

    Args:
        slide: Source of all tiles.
        grid: Tiles along each side.
        positive: Whether the field is annotated: 1 (80%) or 2 (20%) figures.
        noisy: Whether a positive field gets no figure: its darkest tile is annotated instead.
    """
    tiles = _draw_background(slide, grid * grid, rng)
    if not positive:
        return AmibrField(_join(tiles, grid), np.empty((0, 2)), (), False)
    if noisy:
        return AmibrField(_join(tiles, grid), _annotate_darkest(tiles, grid), (), True)
    points, uids = _insert_figures(slide, tiles, grid, rng)
    return AmibrField(_join(tiles, grid), points, uids, False)


def optical_density(image: np.ndarray, sigma_px: float = BLOB_SIGMA_PX) -> np.ndarray:
    """Compute the Gaussian-smoothed optical density of an image, averaged over the channels.

    Args:
        image: RGB uint8 of shape (H, W, 3).

    Returns:
        float64 of shape (H, W): ``-log10((I + 1) / 256)``.
    """
    density = -np.log10((image.astype(np.float64) + 1.0) / 256.0).mean(axis=2)
    return ndimage.gaussian_filter(density, sigma_px)


def blob_center(density: np.ndarray) -> tuple[float, float]:
    """Return the centre ``(x, y)`` of the darkest blob: the pixels above half the peak's height connected to the peak.

    Height is counted from the median; the centre is weighted by density above that half.
    """
    peak = np.unravel_index(np.argmax(density), density.shape)
    half = (density[peak] + np.median(density)) / 2
    labels, _ = ndimage.label(density >= half)
    inside = labels == labels[peak]
    if density[peak] <= half:
        y, x = ndimage.center_of_mass(inside)
    else:
        y, x = ndimage.center_of_mass(density - half, inside.astype(int), 1)
    return float(x), float(y)


def _rounded(value: float) -> int:
    return int(np.floor(value + 0.5))


def _collect_slide(
    slide: str,
    figures: Sequence[Figure],
    all_figures: Sequence[Figure],
    crops: Sequence[np.ndarray],
    usable: Sequence[int],
) -> SlideCrops:
    places = np.array([(figure.x, figure.y) for figure in figures], dtype=np.float64)
    positives: list[int] = []
    corners: list[tuple[int, int, int]] = []
    for number, index in enumerate(usable):
        figure = all_figures[index]
        others = places[[other.uid != figure.uid for other in figures]] - (figure.x, figure.y) + CROP_CENTER_PX
        reach = (CROP_PX - TILE_PX) // 2 - JITTER_PX
        if not _near(others, reach, reach, TILE_PX + 2 * JITTER_PX):
            positives.append(number)
        corners += [(number, x, y) for x, y in _CORNERS if not _near(others, x, y, TILE_PX)]
    return SlideCrops(
        slide=slide,
        crops=np.array([crops[index] for index in usable]).reshape(-1, CROP_PX, CROP_PX, 3),
        uids=tuple(all_figures[index].uid for index in usable),
        positives=tuple(positives),
        corners=tuple(corners),
    )


def _near(points: np.ndarray, left: int, top: int, size_px: int) -> bool:
    """Tell whether any point lies in a square of pixels or closer to it than CLEARANCE_PX."""
    first = np.array([left, top])
    distance = np.maximum(first - points, points - (first + size_px - 1)).max(axis=1, initial=-np.inf)
    return bool((distance < CLEARANCE_PX).any())


def _draw_background(slide: SlideCrops, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Draw background tiles from all corners, using every corner once before any twice; each is turned at random."""
    rounds = -(-count // len(slide.corners))
    order = np.concatenate([rng.permutation(len(slide.corners)) for _ in range(rounds)])[:count]
    turns = rng.integers(4, size=count)
    tiles = []
    for corner, turn in zip(order, turns, strict=True):
        number, x, y = slide.corners[corner]
        tiles.append(np.rot90(slide.crops[number, y : y + TILE_PX, x : x + TILE_PX], turn))
    return tiles


def _insert_figures(
    slide: SlideCrops, tiles: list[np.ndarray], grid: int, rng: np.random.Generator
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Replace one or two tiles by tiles cut around the middle of a crop, and return the figures' points and ids."""
    wanted = 2 if rng.random() < TWO_FIGURES_RATE else 1
    count = min(wanted, len(slide.positives), len(tiles))
    numbers = rng.choice(slide.positives, size=count, replace=False)
    cells = rng.choice(len(tiles), size=count, replace=False)
    turns = rng.integers(4, size=count)
    shifts = rng.integers(-JITTER_PX, JITTER_PX + 1, size=(count, 2))
    points = np.empty((count, 2))
    for k in range(count):
        left, top = (CROP_PX - TILE_PX) // 2 + shifts[k]
        turned = np.rot90(slide.crops[numbers[k]], turns[k])
        tiles[cells[k]] = turned[top : top + TILE_PX, left : left + TILE_PX]
        row, column = divmod(int(cells[k]), grid)
        points[k] = column * TILE_PX + CROP_CENTER_PX - left, row * TILE_PX + CROP_CENTER_PX - top
    return points, tuple(slide.uids[number] for number in numbers)


def _annotate_darkest(tiles: Sequence[np.ndarray], grid: int) -> np.ndarray:
    densities = [optical_density(tile) for tile in tiles]
    darkest = int(np.argmax([density.max() for density in densities]))
    row, column = divmod(darkest, grid)
    x, y = blob_center(densities[darkest])
    return np.array([[column * TILE_PX + x, row * TILE_PX + y]])


def _join(tiles: Sequence[np.ndarray], grid: int) -> np.ndarray:
    rows = [np.concatenate(tiles[row * grid : (row + 1) * grid], axis=1) for row in range(grid)]
    return np.ascontiguousarray(np.concatenate(rows, axis=0))


def split_paper(slides: Sequence[SlideCrops]) -> dict[str, list[SlideCrops]]:
    """Split slides as the paper splits MIDOG 2021.

    Of every scanner's 50 cases, 41-45 are for validation, 46-50 for testing, the rest for training.

    Raises:
        MitoutsError: A split has no slide.
    """
    parts: dict[str, list[SlideCrops]] = {'train': [], 'val': [], 'test': []}
    for slide in slides:
        parts[PAPER.split_of(slide.slide.split('.')[0])].append(slide)
    return _check_parts(parts)


def split_fold(slides: Sequence[SlideCrops], fold: int, seed: int) -> dict[str, list[SlideCrops]]:
    """Divide slides into folds, balanced over scanners; fold ``fold`` is for testing, the next one for validation.

    Raises:
        MitoutsError: There is no such fold, or a split has no slide.
    """
    if not 0 <= fold < NUM_FOLDS:
        raise MitoutsError(f'fold {fold} does not exist; the folds are 0 to {NUM_FOLDS - 1}')
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
    keys = rng.random(len(slides))
    order = sorted(range(len(slides)), key=lambda index: (scanner_of_slide(slides[index].slide), keys[index]))
    parts: dict[str, list[SlideCrops]] = {'train': [], 'val': [], 'test': []}
    roles = {fold: 'test', (fold + 1) % NUM_FOLDS: 'val'}
    for position, index in enumerate(order):
        parts[roles.get(position % NUM_FOLDS, 'train')].append(slides[index])
    return _check_parts({name: sorted(part, key=lambda slide: slide.slide) for name, part in parts.items()})


def scanner_of_slide(slide: str) -> str:
    """Return the scanner of a slide of MIDOG 2021, such as ``002.tiff``.

    Raises:
        MitoutsError: MIDOG 2021 has no such slide.
    """
    scanner = scanner_of(int(slide.split('.')[0]))
    if scanner is None:
        raise MitoutsError(f'{slide}: MIDOG 2021 has the slides 001.tiff to {MIDOG21_IDS[-1]}.tiff')
    return scanner


def _check_parts(parts: dict[str, list[SlideCrops]]) -> dict[str, list[SlideCrops]]:
    empty = [name for name, part in parts.items() if not part]
    if empty:
        raise MitoutsError(
            f'no slide with at least {MIN_CROPS} crops without padding is left for {", ".join(empty)}; '
            'use another split, or more crops'
        )
    return parts
