"""Tiny slides for the counting tool, and what is read of its results."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from untrained import smooth_tissue, write_slide

Call = Callable[..., tuple[int, str, str]]

COMMAND = 'count'
MPP = 2.0
TILE_PX = 128
"""A counted tile of 256 um at 2 um/px, so that small slides have enough area."""
RESOLUTION = {'resolution': (10_000 / MPP, 10_000 / MPP), 'resolutionunit': 3}
TILED = {**RESOLUTION, 'tile': (128, 128), 'compression': 'zlib'}
WIDTH, HEIGHT = 760, 650


def tissue_slide(path: Path, seed: int = 0, width: int = WIDTH, height: int = HEIGHT) -> Path:
    """Tissue all over, of 2 mm2 by default."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_slide(path, smooth_tissue(width, height, seed), **TILED)


def outline(path: Path, *corners: tuple[float, float]) -> Path:
    ring = [list(corner) for corner in (*corners, *corners[:1])]
    geometry = {'type': 'Polygon', 'coordinates': [ring]}
    features = [{'type': 'Feature', 'geometry': geometry, 'properties': {}}] if corners else []
    path.write_text(json.dumps({'type': 'FeatureCollection', 'features': features}))
    return path


def rectangle(path: Path, left: float, top: float, right: float, bottom: float) -> Path:
    return outline(path, (left, top), (right, top), (right, bottom), (left, bottom))


def read_csv(path: Path) -> list[dict[str, str]]:
    lines = [line for line in path.read_text(encoding='utf-8').splitlines() if not line.startswith('#')]
    return list(csv.DictReader(lines))


def read_report(folder: Path) -> dict[str, Any]:
    report = json.loads((folder / 'report.json').read_text())
    assert isinstance(report, dict)
    return report


def lasting(folder: Path) -> dict[str, Any]:
    """A slide's report without what differs between runs."""
    report = read_report(folder)
    del report['run']
    return report


def written(folder: Path) -> dict[str, int]:
    """When each file below a folder was written."""
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns for path in sorted(folder.rglob('*')) if path.is_file()
    }


def is_clean(text: str) -> bool:
    """Nothing that only a programmer wants to see."""
    return not any(word in text.lower() for word in ('traceback', 'warning', '[ warn', 'libpng'))


def refuses(call: Call, *arguments: object) -> str:
    """The one line with which the tool refuses its arguments."""
    code, out, err = call(COMMAND, *arguments)
    assert code == 2
    assert out == ''
    assert err.startswith('error: ')
    assert err.count('\n') == 1
    return err
