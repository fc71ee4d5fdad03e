"""Counts what annotation files hold, and finds what looks wrong in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import KDTree

from mitouts.errors import ImageError
from mitouts.formats.coco import MITOTIC_FIGURE, image_root, is_inside, read_coco, read_json
from mitouts.formats.leakage import WITHIN_CASES, WITHIN_CASES_KEY
from mitouts.imaging.image_header import probe
from mitouts.utils.words import plural

DUPLICATE_PX = 3.0
MPP_TOLERANCE = 0.05
USUAL_SPLITS = ('train', 'val', 'test')
_EXAMPLES = 3


@dataclass(frozen=True)
class AnnotatedPoint:
    """An annotation.

    Attributes:
        x: Column in pixels, 0 at the centre of the leftmost pixel.
        y: Row in pixels.
        is_cut: Whether its centre is outside the image and only a part of it is visible at the border.
    """

    annotation_id: int
    category_id: int
    x: float
    y: float
    is_cut: bool = False


@dataclass(frozen=True)
class Image:
    """An image with its annotations.

    Attributes:
        split: ``images[].split``, else the stem of the annotation file.
        entry: Its entry in the annotation file.
        points: Annotations that are counted in this image.
        shown: Annotations that are visible here but counted in another patch (``iscrowd`` 1).
        outside: Annotations whose point lies outside the image; they are left out of training.
    """

    path: Path
    split: str
    entry: Mapping[str, Any]
    points: tuple[AnnotatedPoint, ...] = ()
    shown: tuple[AnnotatedPoint, ...] = ()
    outside: tuple[AnnotatedPoint, ...] = ()

    @property
    def case_id(self) -> str:
        """The patient or slide; the image's path, including its folders, if the file names none."""
        return str(self.entry['case_id'] if self.entry.get('case_known', True) else self.path)

    @property
    def has_figures(self) -> bool:
        """Whether the centre of a mitotic figure is inside the image, no matter in which patch it is counted."""
        return any(point.category_id == MITOTIC_FIGURE and not point.is_cut for point in (*self.points, *self.shown))

    @property
    def is_positive(self) -> bool:
        """The image's label; if it has none, whether it shows a mitotic figure."""
        label = self.entry.get('label')
        return self.has_figures if label is None else label == 1


@dataclass(frozen=True)
class Finding:
    """Something that looks wrong.

    Attributes:
        kind: Short name, such as ``case_leakage``.
    """

    kind: str
    count: int
    message: str


@dataclass
class Dataset:
    """All images of some annotation files.

    Attributes:
        categories: Category id -> name.
        images: In the files' order.
        empty: Names of files without an image.
        within_cases: Whether every file says that training and validation share cases on purpose.
    """

    categories: dict[int, str] = field(default_factory=dict)
    images: list[Image] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    within_cases: bool = False


def read_dataset(paths: Sequence[str | Path], root: str | None = None) -> Dataset:
    """Read annotation files, including the annotations that lie outside their images.

    Args:
        root: Folder of the images; None for the one that each file names.

    Raises:
        AnnotationError: A file is missing, is not JSON, or is invalid.
    """
    dataset = Dataset()
    declared = []
    for path in map(Path, paths):
        raw = read_json(path)
        if isinstance(raw, dict) and raw.get('images') == []:
            dataset.empty.append(path.stem)
            continue
        document = read_coco(path, keep_outside=True)
        for category in document['categories']:
            dataset.categories.setdefault(category['id'], str(category['name']))
        declared.append(bool(document['info'].get('mitouts', {}).get(WITHIN_CASES_KEY)))
        dataset.images += _images(document, image_root(path, document, root), path.stem)
    dataset.within_cases = bool(declared) and all(declared)
    return dataset


def summarize(dataset: Dataset) -> dict[str, Any]:
    """Count everything: in total, and by split, case, scanner and tumour type (the last two where they are known).

    Returns:
        ``{"total": row, "by_split": {name: row}, "by_case": ..., "by_scanner": ..., "by_tumor_type": ...}``; a row is
        ``{"images", "cases", "without_annotation", "categories": {name: count}, "shown_only", "outside"}``, and where
        an image has a label (``images[].label``) ``"labels": {"positive", "negative", "without_points"}``: images by
        their labels, given or derived from the mitotic figures, and the positive ones without an annotated figure.
    """
    groups: dict[str, Callable[[Image], Any]] = {
        'by_split': lambda image: image.split,
        'by_case': lambda image: image.case_id,
        'by_scanner': lambda image: image.entry.get('scanner'),
        'by_tumor_type': lambda image: image.entry.get('tumor_type'),
    }
    summary: dict[str, Any] = {'total': _row(dataset.images, dataset)}
    for name, key in groups.items():
        members: dict[str, list[Image]] = {}
        for image in dataset.images:
            value = key(image)
            members.setdefault('unknown' if value is None else str(value), []).append(image)
        if set(members) != {'unknown'}:
            ordered = sorted(members.items(), key=lambda item: (_split_order(item[0]), item[0]))
            summary[name] = {value: _row(images, dataset) for value, images in ordered}
    return summary


def find_problems(dataset: Dataset) -> list[Finding]:
    """List everything that looks wrong and can be found without opening an image."""
    within = _validated_within(dataset)
    findings = [
        _leakage(
            [image for image in dataset.images if image.case_id not in within],
            'case_leakage',
            'case',
            lambda image: image.case_id,
        ),
        _within_cases(within),
        _leakage(dataset.images, 'image_leakage', 'image', lambda image: str(image.path)),
        _duplicates(dataset.images),
        _outside(dataset.images),
        _empty_splits(dataset),
        _without_figure(dataset.images),
        _without_annotation(dataset.images),
    ]
    return [finding for finding in findings if finding is not None]


def check_files(images: Sequence[Image]) -> tuple[list[Finding], list[Image]]:
    """Compare each image file's header with the annotation file.

    Returns:
        Findings about files that differ or cannot be read, and the images that can be read and have the stated size.
    """
    unreadable, sizes, resolutions, usable = [], [], [], []
    for image in images:
        try:
            info = probe(image.path)
        except (ImageError, OSError) as error:
            unreadable.append(str(error))
            continue
        stated = image.entry['width'], image.entry['height']
        if (info.width, info.height) != stated:
            sizes.append(f'{image.path} is {info.width} x {info.height} px, not {stated[0]} x {stated[1]}')
            continue
        usable.append(image)
        mpp = image.entry.get('mpp')
        if mpp and info.mpp and abs(info.mpp - mpp) > MPP_TOLERANCE * mpp:
            resolutions.append(f'{image.path} has {info.mpp:.4g} um per pixel, not {mpp:g}')
    total = len(images)
    findings = [
        _finding('unreadable_image', unreadable, f'{len(unreadable)} of {total} images cannot be read'),
        _finding('size_differs', sizes, f'{plural(len(sizes), "image")} of another size than the annotation file says'),
        _finding(
            'mpp_differs', resolutions, f'{plural(len(resolutions), "image")} of another resolution than the file says'
        ),
    ]
    return [finding for finding in findings if finding is not None], usable


def choose_points(
    images: Sequence[Image], category_id: int, num: int, seed: int = 0
) -> list[tuple[Image, AnnotatedPoint]]:
    """Draw up to ``num`` annotations of a category, one from every case before a second from any.

    Returns:
        ``(image, point)``, sorted by split, case and file.
    """
    rng = np.random.default_rng(seed)
    by_case: dict[str, list[tuple[Image, AnnotatedPoint]]] = {}
    for image in images:
        for point in image.points:
            if point.category_id == category_id:
                by_case.setdefault(image.case_id, []).append((image, point))
    drawn = [
        (round_number, order, by_case[case][int(index)])
        for order, case in enumerate(rng.permutation(sorted(by_case)).tolist())
        for round_number, index in enumerate(rng.permutation(len(by_case[case]))[:num])
    ]
    chosen = [item for _, _, item in sorted(drawn, key=lambda entry: entry[:2])[:num]]
    return sorted(
        chosen,
        key=lambda item: (_split_order(item[0].split), item[0].case_id, str(item[0].path), item[1].annotation_id),
    )


def close_pairs(xy: np.ndarray, closer_than_px: float = DUPLICATE_PX) -> list[tuple[int, int]]:
    """Find the pairs of points, rows of ``(N, 2)``, that lie closer than a given distance, in ascending order."""
    if len(xy) < 2:
        return []
    pairs = KDTree(xy).query_pairs(closer_than_px)
    return sorted(pair for pair in pairs if np.hypot(*(xy[pair[0]] - xy[pair[1]])) < closer_than_px)


def _split_order(name: str) -> int:
    return USUAL_SPLITS.index(name) if name in USUAL_SPLITS else len(USUAL_SPLITS)


def _images(document: Mapping[str, Any], root: Path, split: str) -> Iterable[Image]:
    annotations: dict[int, list[Mapping[str, Any]]] = {entry['id']: [] for entry in document['images']}
    for annotation in document['annotations']:
        annotations[annotation['image_id']].append(annotation)
    for entry in document['images']:
        points: dict[str, list[AnnotatedPoint]] = {'points': [], 'shown': [], 'outside': []}
        for annotation in annotations[entry['id']]:
            kind = 'shown' if annotation['iscrowd'] else 'points'
            kind = kind if is_inside(annotation['point'], entry) else 'outside'
            x, y = annotation['point']
            point = AnnotatedPoint(annotation['id'], annotation['category_id'], x, y, annotation.get('cut', False))
            points[kind].append(point)
        own = {kind: tuple(members) for kind, members in points.items()}
        yield Image(root / entry['file_name'], str(entry.get('split') or split), entry, **own)


def _row(images: Sequence[Image], dataset: Dataset) -> dict[str, Any]:
    counts = Counter(point.category_id for image in images for point in image.points)
    row = {
        'images': len(images),
        'cases': len({image.case_id for image in images}),
        'without_annotation': sum(not (image.points or image.shown or image.is_positive) for image in images),
        'categories': {name: counts[category_id] for category_id, name in sorted(dataset.categories.items())},
        'shown_only': sum(len(image.shown) for image in images),
        'outside': sum(len(image.outside) for image in images),
    }
    if any(image.entry.get('label') is not None for image in dataset.images):
        positive = [image for image in images if image.is_positive]
        row['labels'] = {
            'positive': len(positive),
            'negative': len(images) - len(positive),
            'without_points': sum(not image.has_figures for image in positive),
        }
    return row


def _finding(kind: str, examples: Sequence[str], what: str, advice: str = '') -> Finding | None:
    if not examples:
        return None
    more = len(examples) - _EXAMPLES
    listed = '; '.join(examples[:_EXAMPLES]) + (f'; and {more} more' if more > 0 else '')
    return Finding(kind, len(examples), f'{what}: {listed}' + (f'. {advice}' if advice else ''))


def _leakage(images: Iterable[Image], kind: str, noun: str, key: Callable[[Image], str]) -> Finding | None:
    splits: dict[str, dict[str, None]] = {}
    for image in images:
        splits.setdefault(key(image), {})[image.split] = None
    leaked = [f'{value} ({" and ".join(names)})' for value, names in splits.items() if len(names) > 1]
    advice = 'Results will look too good: keep each in one split'
    return _finding(kind, leaked, f'{kind.replace("_", " ")}: {plural(len(leaked), noun)} in several splits', advice)


def _validated_within(dataset: Dataset) -> set[str]:
    """Return the cases that are in training and validation, and nowhere else, where the files say that it is meant."""
    splits: dict[str, set[str]] = {}
    for image in dataset.images if dataset.within_cases else ():
        splits.setdefault(image.case_id, set()).add(image.split)
    return {case_id for case_id, names in splits.items() if sorted(names) == WITHIN_CASES}


def _within_cases(cases: Iterable[str]) -> Finding | None:
    named = sorted(cases)
    what = f'within-case validation: {plural(len(named), "case")} both train and validate, as the files say'
    advice = 'Scores on validation are of known cases and will look too good; judge by the test'
    return _finding('within_case_validation', named, what, advice)


def _duplicates(images: Iterable[Image]) -> Finding | None:
    pairs = []
    for image in images:
        points = [*image.points, *image.shown]
        xy = np.array([(point.x, point.y) for point in points], dtype=np.float64).reshape(-1, 2)
        for first, second in close_pairs(xy):
            a, b = points[first], points[second]
            contrary = '' if a.category_id == b.category_id else ', of different categories'
            distance = np.hypot(a.x - b.x, a.y - b.y)
            pairs.append(f'{a.annotation_id} and {b.annotation_id} of {image.path.name} ({distance:.1f} px{contrary})')
    what = f'{plural(len(pairs), "pair")} of annotations less than {DUPLICATE_PX:g} px apart'
    return _finding('duplicate_points', pairs, what, 'One figure is annotated twice: remove one')


def _outside(images: Iterable[Image]) -> Finding | None:
    places = [
        f'{point.annotation_id} at x={point.x:g}, y={point.y:g} of {image.path.name} '
        f'({image.entry["width"]} x {image.entry["height"]} px)'
        for image in images
        for point in image.outside
    ]
    return _finding(
        'points_outside', places, f'{plural(len(places), "annotation")} outside their image, left out of training'
    )


def _empty_splits(dataset: Dataset) -> Finding | None:
    present = {image.split for image in dataset.images}
    empty = list(dataset.empty)
    if present & set(USUAL_SPLITS) and len(present) > 1:
        empty += [name for name in USUAL_SPLITS if name not in present and name not in empty]
    return _finding('empty_split', empty, f'{plural(len(empty), "split")} without an image')


def _without_figure(images: Sequence[Image]) -> Finding | None:
    positive: dict[str, bool] = {}
    for image in images:
        figures = any(point.category_id == MITOTIC_FIGURE for point in image.points)
        positive[image.split] = positive.get(image.split, False) or figures or image.entry.get('label') == 1
    names = [name for name, has_one in positive.items() if not has_one]
    return _finding('split_without_figure', names, f'{plural(len(names), "split")} without a mitotic figure')


def _without_annotation(images: Sequence[Image]) -> Finding | None:
    bare = [
        image.path.name
        for image in images
        # Patches without a figure are cut from images that somebody has looked at.
        if not image.points
        and not image.shown
        and not image.outside
        and not {'label', 'source_image'} & image.entry.keys()
    ]
    what = f'{len(bare)} of {len(images)} images have neither an annotation nor a label'
    return _finding('no_annotation', bare, what, 'They count as negative: make sure that somebody has looked at them')
