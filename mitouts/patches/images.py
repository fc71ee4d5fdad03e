"""Opens the images of an annotation file and divides them into patches."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from mitouts.errors import AnnotationError, AnnotationWarning, ImageError
from mitouts.formats import coco
from mitouts.functional.tiling import Edges
from mitouts.imaging import ScaledView, SlideReader, open_slide
from mitouts.patches.displacement import as_error, describe_error, move_figures
from mitouts.patches.plan import PatchFigure, PatchGrid, figures_by_patch, make_grid

POINT_ERROR_KEY = 'point_error'
"""Key of ``info.mitouts``: the error that the figures of training images were moved by."""
IMAGES_FOLDER = 'images'
"""Folder of the patches inside the output folder."""


@dataclass(frozen=True)
class Options:
    """The options for cutting patches.

    Attributes:
        stride_px: Distance from the start of one patch to the next.
        edges: ``cover`` or ``drop``; see :func:`mitouts.functional.tiling.tile_starts`.
        mpp: Resolution to resample to; None keeps each image's own.
        level: Level of the slides, where ``mpp`` is None.
        fit: ``image`` fits the stain once per image, ``case`` once per case, ``patch`` once per patch (the authors'
            code).
        min_tissue: Patches with a smaller share of tissue and no figure are skipped; 0 keeps all.
        point_error_px: Median, and perhaps 95th percentile, in pixels of the images, of a random error by which the
            mitotic figures of training images are moved; None leaves them. See
            :class:`mitouts.functional.point_error.PointError`.
        point_error_seed: Seed of that error.
    """

    patch_px: int = 500
    stride_px: int = 500
    edges: Edges = 'cover'
    mpp: float | None = None
    level: int = 0
    fit: str = 'image'
    min_tissue: float = 0.0
    point_error_px: tuple[float, ...] | None = None
    point_error_seed: int = 0

    def stamp(self) -> dict[str, Any]:
        """Return the options for the output's provenance; those of a point error only where there is one."""
        without = () if self.point_error_px is not None else ('point_error_px', 'point_error_seed')
        return {key: value for key, value in asdict(self).items() if key not in without}

    def view(self, reader: SlideReader) -> ScaledView:
        """Return an image at the resolution or level that patches are cut from."""
        return ScaledView(reader, level=self.level) if self.mpp is None else ScaledView(reader, mpp=self.mpp)


@dataclass(frozen=True)
class ImagePlan:
    """One image with its patches.

    Attributes:
        entry: Its entry in the source's annotation file.
        folder: Folder of its patches, relative to the output folder.
        figures: ``(x, y)`` of a patch's first pixel -> the figures it shows.
        lost: Figures that no patch holds.
        mpp: Micrometres per pixel of the patches, or None.
        downsample: Image pixels per pixel of the patches.
    """

    entry: Mapping[str, Any]
    path: Path
    folder: str
    grid: PatchGrid
    figures: Mapping[tuple[int, int], Sequence[PatchFigure]]
    lost: int
    mpp: float | None
    downsample: float


def plan_images(ann_file: Path, image_root: Path | None, options: Options) -> tuple[dict[str, Any], list[ImagePlan]]:
    """Read the annotations and the headers of all images, and plan the patches.

    Args:
        image_root: Folder of the images; None to use the one named in the annotation file.

    Returns:
        The annotations, and a plan for each image. Positive images without an annotated point that are cut into
        several patches are left out with a warning.

    Raises:
        AnnotationError: The annotations are broken, do not fit the images, or say of no image what its patches show.
        ImageError: An image is missing or broken, or not available at the resolution.
    """
    document = coco.read_coco(ann_file, keep_outside=True)
    document = _with_point_error(document, options)
    root = coco.image_root(ann_file, document, None if image_root is None else str(image_root))
    annotations: dict[int, list[dict[str, Any]]] = {image['id']: [] for image in document['images']}
    for annotation in document['annotations']:
        annotations[annotation['image_id']].append(annotation)
    folders = _folders(document['images'])
    missing = [image['file_name'] for image in document['images'] if not (root / image['file_name']).is_file()]
    if missing:
        raise ImageError(
            f'{root}: {len(missing)} of {len(folders)} images of {ann_file} are missing, the first is {missing[0]}; '
            'name their folder with --image-root, or convert again with --skip-missing'
        )
    plans = [
        _plan_image(image, root / image['file_name'], folder, annotations[image['id']], options)
        for image, folder in zip(document['images'], folders)
    ]
    return document, _with_known_labels(plans, annotations, ann_file)


def _with_point_error(document: dict[str, Any], options: Options) -> dict[str, Any]:
    error = as_error(options.point_error_px)
    if error is None:
        return document
    moved, count = move_figures(document, error, options.point_error_seed)
    info = dict(document['info'])
    described = describe_error(error, options.point_error_seed, count)
    info['mitouts'] = {**info.get('mitouts', {}), POINT_ERROR_KEY: described}
    return {**moved, 'info': info}


def _with_known_labels(
    plans: Sequence[ImagePlan], annotations: Mapping[int, Sequence[Mapping[str, Any]]], ann_file: Path
) -> list[ImagePlan]:
    """Leave out images whose patches cannot be labelled: positive, without a point, and cut into several patches."""

    def is_known(plan: ImagePlan) -> bool:
        figures = [
            annotation
            for annotation in annotations[plan.entry['id']]
            if annotation['category_id'] == coco.MITOTIC_FIGURE
        ]
        return plan.entry.get('label') != 1 or len(figures) > 0 or plan.grid.is_whole

    known = [plan for plan in plans if is_known(plan)]
    unknown = [plan.entry['file_name'] for plan in plans if not is_known(plan)]
    if unknown and not known:
        raise AnnotationError(
            f'{ann_file}: all {len(unknown)} images are labelled positive without an annotated point, and nobody knows '
            'in which of their patches the figures are: annotate points, or make patches that show a whole image'
        )
    if unknown:
        warnings.warn(
            f'{ann_file}: {len(unknown)} of {len(plans)} images are left out, the first is {unknown[0]}: they are '
            'labelled positive without an annotated point, and nobody knows in which of their patches the figures are',
            AnnotationWarning,
            stacklevel=3,
        )
    return known


def _plan_image(
    image: dict[str, Any], path: Path, folder: str, annotations: list[dict[str, Any]], options: Options
) -> ImagePlan:
    known = image['mpp']
    with open_slide(path, mpp=known) as reader:
        if image.get('size_known', True) and reader.dimensions != (image['width'], image['height']):
            raise AnnotationError(
                f'{path} is {reader.dimensions[0]} x {reader.dimensions[1]} px, its annotation file says '
                f'{image["width"]} x {image["height"]}: points would be in the wrong place'
            )
        if options.level >= len(reader.level_dimensions):
            raise ImageError(
                f'{path} has no level {options.level}: its last is level {len(reader.level_dimensions) - 1}'
            )
        view = options.view(reader)
        grid = make_grid(*view.dimensions, options.patch_px, options.stride_px, options.edges)
        points = view.to_view(np.array([entry['point'] for entry in annotations]).reshape(-1, 2))
        figures, lost = figures_by_patch(annotations, points, grid, view.downsample)
        return ImagePlan(image, path, folder, grid, figures, lost, view.mpp, view.downsample)


def _folders(images: Sequence[Mapping[str, Any]]) -> list[str]:
    """Choose a folder for each image: its path without the suffix, and without parts that lead out of the folder."""
    folders: list[str] = []
    for image in images:
        parts = [part for part in PurePosixPath(image['file_name']).with_suffix('').parts if part not in ('..', '/')]
        name = '/'.join([IMAGES_FOLDER, *parts])
        folders.append(name if name not in folders else f'{name}-{image["id"]}')
    return folders
