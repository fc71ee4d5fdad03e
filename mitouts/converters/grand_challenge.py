"""Converts Grand Challenge points files both ways; :mod:`mitouts.formats.grand_challenge` knows the format."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mitouts.converters.base import Exported, ExportingConverter
from mitouts.errors import AnnotationError
from mitouts.formats.carried import CASE_UNKNOWN, case_of, label_files
from mitouts.formats.class_names import known_category
from mitouts.formats.coco import MITOTIC_FIGURE, read_coco
from mitouts.formats.grand_challenge import SUFFIX, export_points, read_points
from mitouts.formats.source import SourceFigure, SourceImage, SourceSet, check_coordinate, listed
from mitouts.formats.source_files import find_file
from mitouts.imaging.image_header import probe
from mitouts.registry import CONVERTERS
from mitouts.utils.arguments import Argument


@CONVERTERS.register_module('grand_challenge')
@dataclass
class GrandChallenge(ExportingConverter):
    """Grand Challenge points files to an annotation file; with --export an annotation file to points files.

        mitouts convert grand_challenge points --image-root images --out data/points.json
        mitouts convert grand_challenge mitotic-figures.json --mpp 0.25 --out data/points.json
        mitouts convert grand_challenge data/mine.json --export --out points

        points/<image>.json        such as points/007.json or points/007.tiff.json

    Points are in millimetres, so the resolution of the images must be known; with --pixels they are pixels, as the
    format has them for images without a resolution. Probabilities are kept as score.
    """

    src = 'a points file, or a folder of them; with --export an annotation file'

    pixels: Annotated[bool, Argument('the points are in pixels')] = False

    def read(self, src: Path, *, image_root: Path | None = None, mpp: float | None = None) -> SourceSet:
        if mpp is None and image_root is None and not self.pixels:
            raise AnnotationError(
                f'{src}: points are in millimetres: give --mpp or --image-root, or --pixels where the images have no '
                'resolution'
            )
        images: list[SourceImage] = []
        figures: list[SourceFigure] = []
        notes: list[str] = []
        unnamed: list[str] = []
        others: Counter[str] = Counter()
        without_mpp: list[str] = []
        for path, name in label_files(src, (SUFFIX,)):
            spacing = None if self.pixels else mpp if mpp is not None else _mpp_of(image_root or Path(), name)
            if spacing is None:
                without_mpp.append(name)
            images.append(SourceImage(name, case_of(name), mpp=spacing, extra=CASE_UNKNOWN))
            for number, point in enumerate(read_points(path), start=1):
                category = MITOTIC_FIGURE if point.name is None else known_category(point.name)
                if point.name is None:
                    unnamed.append(name)
                if category is None:
                    others[str(point.name)] += 1
                    continue
                scale = 1.0 if spacing is None else 1000 / spacing
                x, y = (
                    # Without the last digits, whole pixels come back whole.
                    round(check_coordinate(value * scale, f'{path}: point {number}'), 9)
                    for value in (point.x, point.y)
                )
                extra = {} if point.probability is None else {'score': point.probability}
                figures.append(SourceFigure(name, x, y, category, extra))
        if without_mpp:
            why = '--pixels' if self.pixels else 'they have no resolution'
            notes.append(f'the points of {len(without_mpp)} images are in pixels ({why}): {listed(without_mpp)}')
        if unnamed:
            notes.append(f'{len(unnamed)} points without a name are taken for mitotic figures')
        if others:
            counted = ', '.join(f'{name!r} ({count})' for name, count in sorted(others.items()))
            notes.append(f'left out {sum(others.values())} points of other names: {counted}')
        scored = sum('score' in figure.extra for figure in figures)
        if scored:
            notes.append(f'{scored} points have a probability, kept as score; none is left out for a low one')
        return SourceSet('Grand Challenge points', 'other', images, figures, notes)

    def export(self, src: Path, *, image_root: Path | None = None) -> Exported:
        document = read_coco(src, keep_outside=True)
        in_pixels = sum(image['mpp'] is None for image in document['images'])
        notes = [f'{in_pixels} of them in pixels, because no mpp is known for their images'] if in_pixels else []
        return Exported(export_points(document), len(document['annotations']), notes)


def _mpp_of(image_root: Path, name: str) -> float | None:
    """Return the resolution stated in an image's own file; None if there is no such file or it states none."""
    path = find_file(image_root, name)
    return None if path is None else probe(path).mpp
