"""Exports the ground truth of phantom slides: annotations, outlines, and numbers to compare counts with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mitouts.errors import ConfigError
from mitouts.formats import coco
from mitouts.formats.geojson import feature_collection, feature_id, polygon_feature
from mitouts.synthetic.phantom.slide import PhantomSlide
from mitouts.synthetic.phantom.slide_plan import CELL_PX, TUMOUR, child_seed

_CORRUPT_STREAM = 100
_TISSUE_COLOR, _TUMOUR_COLOR = (22, 163, 74), (200, 0, 0)


def choose_corrupt_tiles(
    slide: PhantomSlide, count: int, tile_px: int, seed: np.random.SeedSequence
) -> list[list[int]]:
    """Draw tiles ``[column, row]`` of level 0 that lie wholly in the tumour.

    Raises:
        ConfigError: There are not enough such tiles.
    """
    per_tile = tile_px // CELL_PX
    cells = slide.plan.cells == TUMOUR
    rows, columns = slide.config.height_px // tile_px, slide.config.width_px // tile_px
    grid = cells[: rows * per_tile, : columns * per_tile].reshape(rows, per_tile, columns, per_tile)
    candidates = np.argwhere(grid.all(axis=(1, 3)))[:, ::-1]
    if count > len(candidates):
        raise ConfigError(
            f'{count} corrupt tiles are wanted, and {len(candidates)} tiles of {tile_px} px lie in the tumour; '
            'choose fewer, or make a larger slide'
        )
    chosen = np.random.default_rng(child_seed(seed, _CORRUPT_STREAM)).permutation(len(candidates))[:count]
    return sorted(candidates[chosen].tolist(), key=lambda tile: (tile[1], tile[0]))


def image_entry(slide: PhantomSlide, image_id: int, file_name: str, case_id: str) -> dict[str, Any]:
    """Return the slide's entry of ``images``."""
    config = slide.config
    return coco.make_image(
        image_id,
        file_name,
        config.width_px,
        config.height_px,
        case_id=case_id,
        mpp=config.mpp,
        scanner=slide.case.scanner,
        split='test',
    )


def annotation_entries(slide: PhantomSlide, image_id: int, first_id: int) -> list[dict[str, Any]]:
    """Return the slide's entries of ``annotations``, numbered from ``first_id``; points are rounded to 0.01 px."""
    entries = []
    for annotation_id, cell in enumerate(slide.cells, start=first_id):
        category = coco.MITOTIC_FIGURE if cell.is_figure else coco.HARD_NEGATIVE
        x, y = (round(value, 2) for value in cell.point)
        entries.append(
            coco.make_annotation(annotation_id, image_id, category, x, y, kind=cell.kind, in_hotspot=cell.in_hotspot)
        )
    return entries


def regions(slide: PhantomSlide, file_name: str) -> dict[str, Any]:
    """Return the outlines of tissue and tumour as a feature collection that QuPath opens."""
    features = []
    for name, color, polygons in (
        ('tissue', _TISSUE_COLOR, slide.plan.tissue),
        ('tumour', _TUMOUR_COLOR, slide.plan.tumour),
    ):
        for index, polygon in enumerate(polygons):
            identity = feature_id(file_name, name, index)
            features.append(polygon_feature([polygon.round(2).tolist()], name, identity=identity, color=color))
    return feature_collection(features)


def slide_truth(slide: PhantomSlide, corrupt: Sequence[Sequence[int]], tile_px: int) -> dict[str, Any]:
    """Return areas, counts and densities; lengths are in level-0 pixels, areas in mm2.

    Args:
        corrupt: Unreadable tiles ``(column, row)`` of level 0.
    """
    plan = slide.plan
    figures = [cell for cell in slide.cells if cell.is_figure]
    hotspot = None
    if plan.hotspot is not None:
        inside = sum(cell.in_hotspot for cell in figures)
        hotspot = {
            'centre_px': list(plan.hotspot.centre_px),
            'radius_px': plan.hotspot.radius_px,
            'area_mm2': plan.hotspot_mm2,
            'figures': inside,
            'figures_per_mm2': inside / plan.hotspot_mm2,
        }
    corrupt_tiles = [
        {'column': column, 'row': row, 'xywh_px': [column * tile_px, row * tile_px, tile_px, tile_px]}
        for column, row in corrupt
    ]
    return {
        'width_px': slide.config.width_px,
        'height_px': slide.config.height_px,
        'mpp': slide.config.mpp,
        'scanner': slide.case.scanner,
        'tissue_mm2': plan.tissue_mm2,
        'tumour_mm2': plan.tumour_mm2,
        'figures': len(figures),
        'look_alikes': len(slide.cells) - len(figures),
        'figures_per_mm2_tumour': len(figures) / plan.tumour_mm2 if plan.tumour_mm2 else None,
        'hotspot': hotspot,
        'corrupt_tiles': corrupt_tiles,
    }
