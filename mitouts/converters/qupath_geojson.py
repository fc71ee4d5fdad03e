"""Converts QuPath GeoJSON both ways, and predictions into it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from mitouts.converters.base import Exported, ExportingConverter
from mitouts.converters.qupath import export_geojson, read_bounds, read_qupath
from mitouts.converters.qupath_predictions import export_predictions, names_of
from mitouts.formats.coco import is_of_predictions, read_coco, read_json
from mitouts.formats.geojson import ObjectType
from mitouts.formats.predictions import map_threshold_of, read_predictions
from mitouts.formats.source import SourceSet
from mitouts.registry import CONVERTERS
from mitouts.utils.arguments import Argument


@CONVERTERS.register_module('qupath_geojson')
@dataclass
class QuPathGeoJson(ExportingConverter):
    """QuPath GeoJSON to an annotation file; with --export an annotation file or predictions to QuPath GeoJSON.

        mitouts convert qupath_geojson DIR --image-root images --out data/mine.json
        mitouts convert qupath_geojson DIR --mitotic Mitosis --hard-negative "Look-alike" --out mine.json
        mitouts convert qupath_geojson data/mine.json --export --out DIR
        mitouts convert qupath_geojson predictions.json --export --out DIR

        DIR/<image>.geojson        one file an image, such as 007.tiff.geojson; .json and .gz are read as well

    In QuPath: File > Export objects as GeoJSON, and drag such a file onto the open image. Exported files give back all
    of the annotation file, with what was corrected, until QuPath writes them again: then points, classes and
    probabilities are left. QuPath crops some slides; their offset is read from the slides in --image-root.
    """

    src = 'a GeoJSON file, or a folder of them; with --export an annotation file or predictions'

    mitotic: Annotated[str | None, Argument('the class of mitotic figures', 'CLASS')] = None
    hard_negative: Annotated[str | None, Argument('the class of look-alikes', 'CLASS')] = None

    def read(self, src: Path, *, image_root: Path | None = None, mpp: float | None = None) -> SourceSet:
        return read_qupath(src, image_root=image_root, mitotic=self.mitotic, hard_negative=self.hard_negative)

    def export(
        self,
        src: Path,
        *,
        image_root: Path | None = None,
        ann_file: Annotated[
            Path | None, Argument('with --export of predictions that do not name their images', 'ANN.json')
        ] = None,
        score_thr: Annotated[
            float | None,
            Argument(
                'with --export of predictions: a point with a score > T is a figure (default: their map_threshold)', 'T'
            ),
        ] = None,
        object_type: Annotated[
            ObjectType,
            Argument('with --export: annotations can be moved in QuPath, detections are faster (default: annotation)'),
        ] = 'annotation',
    ) -> Exported:
        if is_of_predictions(read_json(src)):
            files = _predicted(src, image_root, ann_file, score_thr, object_type)
        else:
            document = read_coco(src, keep_outside=True)
            bounds = read_bounds(image_root, [image['file_name'] for image in document['images']])
            files = export_geojson(document, object_type=object_type, bounds_xy_px=bounds)
        return Exported(files, sum(len(content['features']) for content in files.values()))


def _predicted(
    src: Path, image_root: Path | None, ann_file: Path | None, score_thr: float | None, object_type: ObjectType
) -> dict[str, dict[str, Any]]:
    predictions = read_predictions(src)
    threshold = map_threshold_of(src, predictions, '--score-thr') if score_thr is None else score_thr
    names = None
    if ann_file is not None:
        names = {image['id']: image['file_name'] for image in read_coco(ann_file, keep_outside=True)['images']}
    bounds = read_bounds(image_root, names_of(predictions, names).values())
    return export_predictions(
        predictions, threshold=threshold, file_names=names, object_type=object_type, bounds_xy_px=bounds
    )
