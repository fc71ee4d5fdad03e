"""Convert QuPath GeoJSON to an annotation file, or an annotation file to QuPath GeoJSON.

    python tools/dataset_converters/qupath_geojson.py DIR --image-root images --out data/mine.json
    python tools/dataset_converters/qupath_geojson.py DIR --mitotic Mitosis --hard-negative "Look-alike" --out mine.json
    python tools/dataset_converters/qupath_geojson.py data/mine.json --export --out DIR

    DIR/<image>.geojson        one file an image, such as 007.tiff.geojson; .json and .gz are read as well

In QuPath: File > Export objects as GeoJSON, and drag such a file onto the open image. Exported files give back all of
the annotation file, with what was corrected, until QuPath writes them again: then points, classes and probabilities
are left. QuPath crops some slides; their offset is read from the slides in ``--image-root``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from mitouts.exchange.coco import read_coco
from mitouts.exchange.geojson import write_geojson
from mitouts.exchange.qupath import export_geojson, read_bounds, read_qupath
from mitouts.exchange.source_files import find_file
from mitouts.utils.cli import run
from mitouts.utils.conversion import make_parser, write_converted, write_folder

TOOL = 'qupath_geojson'


def main() -> int:
    """Run the tool."""
    args = parse_args()
    if args.export:
        document = read_coco(args.src, keep_outside=True)
        bounds = _bounds(document, args.image_root)
        files = export_geojson(document, object_type=args.object_type, bounds_xy_px=bounds)
        write_folder(args.out, files, write_geojson, overwrite=args.overwrite)
        print(f'{len(files)} files with {len(document["annotations"])} figures written to {args.out}', file=sys.stderr)
        return 0
    options = {'mitotic': args.mitotic, 'hard_negative': args.hard_negative}
    write_converted(read_qupath(args.src, image_root=args.image_root, **options), args, TOOL, options)
    return 0


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, 'qupath', 'a GeoJSON file, or a folder of them; with --export an annotation file')
    parser.add_argument('--mitotic', metavar='CLASS', help='the class of mitotic figures')
    parser.add_argument('--hard-negative', metavar='CLASS', help='the class of look-alikes')
    parser.add_argument('--export', action='store_true', help='write GeoJSON files from an annotation file')
    parser.add_argument(
        '--object-type',
        choices=('annotation', 'detection'),
        default='annotation',
        help='with --export: annotations can be moved in QuPath, detections are faster (default: annotation)',
    )
    parser.add_argument('--overwrite', action='store_true', help='with --export, replace existing files')
    return parser.parse_args()


def _bounds(document: dict[str, Any], image_root: Path | None) -> dict[str, tuple[int, int]]:
    if image_root is None:
        return {}
    paths = {image['file_name']: find_file(image_root, image['file_name']) for image in document['images']}
    found = {name: read_bounds(path) for name, path in paths.items() if path is not None}
    return {name: bounds for name, bounds in found.items() if bounds is not None}


if __name__ == '__main__':
    run(main)
