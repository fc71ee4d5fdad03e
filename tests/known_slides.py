"""Counted slides that are written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from image_records import predicted

from mitouts.formats.coco import write_json
from mitouts.formats.geojson import feature_collection, polygon_feature
from mitouts.formats.predictions import write_predictions

SIDE, SHA = 1000, 'abc'
# The left half of the slide is counted, without a hole from 100 to 200.
OUTLINE = [[-0.5, -0.5], [499.5, -0.5], [499.5, 999.5], [-0.5, 999.5]]
HOLE = [[99.5, 99.5], [199.5, 99.5], [199.5, 199.5], [99.5, 199.5]]


def write_counted(out: Path, name: str, points: list[tuple[float, float, float]], **provenance: Any) -> None:
    folder = out / Path(name).stem
    model = {'checkpoint': 'a.pth', 'checkpoint_sha256': SHA, 'map_threshold': 0.5, 'model_mpp': 0.5, **provenance}
    write_predictions(folder / 'predictions.json', [predicted(1, 0.9, points)], model)
    area = polygon_feature([OUTLINE, HOLE], 'counted area', identity='1', color=(0, 0, 0), bounds_xy_px=(0, 0))
    tissue = polygon_feature(
        [[[-0.5, -0.5], [999.5, -0.5], [999.5, 999.5]]], 'tissue', identity='2', color=(0, 0, 0), bounds_xy_px=(0, 0)
    )
    write_json(folder / 'qupath.geojson', feature_collection([tissue, area], {}))
    slide = {'file_name': name, 'width_px': SIDE, 'height_px': SIDE, 'mpp': 0.25, 'bounds_xy_px': [0, 0]}
    write_json(folder / 'report.json', {'provenance': model, 'slide': slide, 'counts': {'num_tiles': 5}})
