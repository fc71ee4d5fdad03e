"""Convert QuPath GeoJSON to an annotation file, or an annotation file to QuPath GeoJSON.

    python tools/dataset_converters/qupath_geojson.py DIR --image-root images --out data/mine.json
    python tools/dataset_converters/qupath_geojson.py DIR --mitotic Mitosis --hard-negative "Look-alike" --out mine.json
    python tools/dataset_converters/qupath_geojson.py data/mine.json --export --out DIR
    python tools/dataset_converters/qupath_geojson.py predictions.json --export --out DIR

    DIR/<image>.geojson        one file an image, such as 007.tiff.geojson; .json and .gz are read as well

In QuPath: File > Export objects as GeoJSON, and drag such a file onto the open image. Exported files give back all of
the annotation file, with what was corrected, until QuPath writes them again: then points, classes and probabilities
are left. QuPath crops some slides; their offset is read from the slides in ``--image-root``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mitouts.converters.cli import make_parser, write_converted, write_folder
from mitouts.converters.qupath import export_geojson, read_bounds, read_qupath
from mitouts.converters.qupath_predictions import export_predictions, names_of
from mitouts.formats.coco import is_of_predictions, read_coco, read_json
from mitouts.formats.geojson import write_geojson
from mitouts.formats.predictions import map_threshold_of, read_predictions
from mitouts.formats.source_files import find_file
from mitouts.utils.cli import run
from mitouts.utils.words import plural

TOOL = 'qupath_geojson'


def main() -> int:
    """Run the tool."""
    args = parse_args()
    if args.export:
        files = _predicted(args) if is_of_predictions(read_json(args.src)) else _annotated(args)
        write_folder(args.out, files, write_geojson, overwrite=args.overwrite)
        points = plural(sum(len(content['features']) for content in files.values()), 'point')
        print(f'{plural(len(files), "file")} with {points} written to {args.out}', file=sys.stderr)
        return 0
    options = {'mitotic': args.mitotic, 'hard_negative': args.hard_negative}
    write_converted(read_qupath(args.src, image_root=args.image_root, **options), args, TOOL, options)
    return 0


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        __doc__, 'qupath', 'a GeoJSON file, or a folder of them; with --export an annotation file or predictions'
    )
    parser.add_argument('--mitotic', metavar='CLASS', help='the class of mitotic figures')
    parser.add_argument('--hard-negative', metavar='CLASS', help='the class of look-alikes')
    parser.add_argument(
        '--export', action='store_true', help='write GeoJSON files from an annotation file or predictions'
    )
    parser.add_argument(
        '--ann-file', type=Path, metavar='ANN.json', help='with --export of predictions that do not name their images'
    )
    parser.add_argument(
        '--score-thr',
        type=float,
        metavar='T',
        help='with --export of predictions: a point with a score > T is a figure (default: their map_threshold)',
    )
    parser.add_argument(
        '--object-type',
        choices=('annotation', 'detection'),
        default='annotation',
        help='with --export: annotations can be moved in QuPath, detections are faster (default: annotation)',
    )
    parser.add_argument('--overwrite', action='store_true', help='with --export, replace existing files')
    return parser.parse_args()


def _annotated(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    document = read_coco(args.src, keep_outside=True)
    bounds = _bounds([image['file_name'] for image in document['images']], args.image_root)
    return export_geojson(document, object_type=args.object_type, bounds_xy_px=bounds)


def _predicted(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    predictions = read_predictions(args.src)
    threshold = args.score_thr
    if threshold is None:
        threshold = map_threshold_of(args.src, predictions, '--score-thr')
    names = None
    if args.ann_file is not None:
        names = {image['id']: image['file_name'] for image in read_coco(args.ann_file, keep_outside=True)['images']}
    bounds = _bounds(list(names_of(predictions, names).values()), args.image_root)
    return export_predictions(
        predictions, threshold=threshold, file_names=names, object_type=args.object_type, bounds_xy_px=bounds
    )


def _bounds(file_names: Sequence[str], image_root: Path | None) -> dict[str, tuple[int, int]]:
    if image_root is None:
        return {}
    paths = {name: find_file(image_root, name) for name in file_names}
    found = {name: read_bounds(path) for name, path in paths.items() if path is not None}
    return {name: bounds for name, bounds in found.items() if bounds is not None}


if __name__ == '__main__':
    run(main)
