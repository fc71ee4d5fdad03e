"""Cuts crops around annotated figures and around hard negatives, to train a patch classifier on."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitouts.datasets.seeded import AnnotatedDataset
from mitouts.errors import AnnotationError, ConfigError
from mitouts.formats.coco import HARD_NEGATIVE, MITOTIC_FIGURE
from mitouts.formats.image_truths import image_truths
from mitouts.functional.cascade import crop_corner, reflected_indices
from mitouts.imaging.image import read_rgb
from mitouts.registry import DATASETS
from mitouts.structures import ImageTruth
from mitouts.utils.streams import named_stream

CROP_PX = 64
TRIES_PER_CROP = 20


@DATASETS.register_module()
class FigureCropDataset(AnnotatedDataset):
    """One sample a crop: around an annotated figure (label 1), around a hard negative or somewhere else (label 0).

    Reads the annotation format of ``docs/data_format.md``, preferably a file with the false proposals of a localizer
    (:mod:`mitouts.engine.proposals`). Annotations with ``proposed`` are hard negatives whatever the positive categories
    are. Figures that are counted in another image or cut by the border give no crop, nor do those of an image whose
    given label is 0. Crops that reach over the border are reflected there.

    Args:
        data_root: Folder that ``file_name`` is relative to; default as in :class:`PointDataset`.
        positive_categories: Category ids that count as figures.
        pipeline: Transforms of the crop; none of them loads an image.
        jitter_px: In each epoch a crop is shifted at random by up to this distance along each axis.
        background: Further crops of each image, at random places (the same in every epoch) at least ``crop_px`` away
            from every figure; fewer if there is no such place. Images that
                are positive without an annotated point give none.
        background_seed: Seed of those places.
        cache_mib: Memory for decoded images in each process; without it a whole image is read again for every crop.

    Raises:
        AnnotationError: The file is broken, names images that do not exist, or has no figure, or nothing of label 0.
        ConfigError: An argument is out of range, or a positive category is not in the file.
    """

    def __init__(
        self,
        ann_file: str,
        data_root: str | None = None,
        positive_categories: Sequence[int] = (MITOTIC_FIGURE,),
        pipeline: Sequence[Any] = (),
        seed: int = 0,
        crop_px: int = CROP_PX,
        jitter_px: float = 0.0,
        background: int = 0,
        background_seed: int = 0,
        cache_mib: float = 256.0,
        **kwargs: Any,
    ) -> None:
        if crop_px < 1:
            raise ConfigError(f'dataset.crop_px must be at least 1, found {crop_px}')
        if jitter_px < 0 or background < 0 or cache_mib < 0:
            raise ConfigError(
                'dataset.jitter_px, background and cache_mib must be at least 0, found '
                f'{jitter_px}, {background} and {cache_mib}'
            )
        self.crop_px = crop_px
        self.jitter_px = jitter_px
        self.background = background
        self.background_seed = background_seed
        self._images = DecodedImages(int(cache_mib * 2**20))
        super().__init__(ann_file, data_root, positive_categories, pipeline=pipeline, seed=seed, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Return one entry for each crop."""
        document, root = self._read_annotations()
        negatives, others = split_negatives(document['annotations'], self.positive_categories)
        figures = image_truths({**document, 'annotations': others}, self.positive_categories)
        look_alikes = image_truths(
            {**document, 'annotations': negatives}, {negative['category_id'] for negative in negatives}
        )
        entries: list[dict[str, Any]] = []
        for index, image in enumerate(document['images']):
            shown, rejected = figures[image['id']], look_alikes[image['id']].counted_points
            places = self._places(image, shown, rejected, index)
            entries += [self._entry(root, image, len(entries) + 1 + n, *place) for n, place in enumerate(places)]
        self._check_entries(entries)
        return entries

    def _places(
        self, image: Mapping[str, Any], figures: ImageTruth, rejected: NDArray[np.float64], index: int
    ) -> list[tuple[NDArray[np.float64], int]]:
        """Return the centres and labels of an image's crops."""
        given = image.get('label')
        places = [] if given == 0 else [(point, 1) for point in figures.counted_points]
        places += [(point, 0) for point in rejected]
        if given != 1 or len(figures.points):
            avoided = np.concatenate([figures.points, figures.cut])
            generator = np.random.default_rng(named_stream('FigureCropDataset', self.background_seed, index))
            places += [(point, 0) for point in self._background(image, avoided, generator)]
        return places

    def _background(
        self, image: Mapping[str, Any], avoided: NDArray[np.float64], generator: np.random.Generator
    ) -> Iterator[NDArray[np.float64]]:
        count = 0
        for _ in range(TRIES_PER_CROP * self.background):
            if count == self.background:
                return
            point = generator.uniform(0, [image['width'] - 1, image['height'] - 1])
            if (np.hypot(*(avoided - point).T) >= self.crop_px).all():
                count += 1
                yield point

    def _entry(
        self, root: Path, image: Mapping[str, Any], number: int, point: NDArray[np.float64], label: int
    ) -> dict[str, Any]:
        return {
            'img_path': str(root / image['file_name']),
            # Results are gathered by this id.
            'img_id': number,
            'image_id': image['id'],
            'image_size_px': (image['width'], image['height']),
            'source_image': image.get('source_image'),
            'center_xy': tuple(point.tolist()),
            'case_id': str(image['case_id']),
            'case_known': image.get('case_known', True),
            'height': self.crop_px,
            'width': self.crop_px,
            'mpp': image.get('mpp'),
            'gt_weight': float(image.get('weight', 1.0)),
            'label_given': True,
            'gt_label': label,
        }

    def _check_entries(self, entries: list[dict[str, Any]]) -> None:
        labels = {entry['gt_label'] for entry in entries}
        if 1 not in labels:
            raise AnnotationError(
                f'{self.ann_file}: no figure of the categories {list(self.positive_categories)} is annotated, around '
                'which a crop could be cut: a patch classifier learns from points'
            )
        if 0 not in labels:
            raise AnnotationError(
                f'{self.ann_file}: there is no hard negative: let a localizer propose some (a propose stage, or '
                'mitouts cascade propose) with +proposals.min_score=... below 0.01, or set dataset.background above 0'
            )
        self._check_images(entries)

    def prepare_data(self, idx: int) -> Any:
        return self.transform(self._cut(self._seeded_info(idx)))

    def _cut(self, info: dict[str, Any]) -> dict[str, Any]:
        """Add the crop and the position of its figure in it; a hard negative has no figure."""
        image = self._images.read(info['img_path'], info['image_size_px'])
        x, y = info['center_xy']
        # No step of a pipeline has a stream with this number.
        shift = np.random.default_rng([info['augmentation_seed'], 3]).uniform(-self.jitter_px, self.jitter_px, 2)
        left, top = crop_corner(x + shift[0], y + shift[1], self.crop_px)
        rows = reflected_indices(top, self.crop_px, image.shape[0])
        columns = reflected_indices(left, self.crop_px, image.shape[1])
        points = np.array([[x - left, y - top]] if info['gt_label'] else [], dtype=np.float32).reshape(-1, 2)
        return {
            **info,
            'img': image[rows[:, None], columns],
            'gt_points': points,
            'gt_counted': np.ones(len(points), dtype=bool),
            'gt_cut': np.zeros((0, 2), dtype=np.float32),
        }

    def weights(self) -> NDArray[np.float32]:
        """Return the weights of the crops in the loss ``(N,)``, which are those of their images."""
        return np.array([self.get_data_info(index)['gt_weight'] for index in range(len(self))], dtype=np.float32)


def split_negatives(
    annotations: Sequence[Mapping[str, Any]], positive_categories: Sequence[int]
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Split annotations into hard negatives and all others.

    Proposals of a localizer are hard negatives even if the annotators' hard negatives count as figures.
    """
    negatives = [
        annotation
        for annotation in annotations
        if annotation.get('proposed')
        or (annotation['category_id'] == HARD_NEGATIVE and HARD_NEGATIVE not in positive_categories)
    ]
    chosen = {annotation['id'] for annotation in negatives}
    return negatives, [annotation for annotation in annotations if annotation['id'] not in chosen]


class DecodedImages:
    """A cache of the images that were read last, up to a number of bytes; copies in other processes start empty."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._kept: OrderedDict[str, NDArray[np.uint8]] = OrderedDict()
        self._bytes = 0

    def read(self, path: str, size_px: tuple[int, int]) -> NDArray[np.uint8]:
        """Return an RGB image ``(H, W, 3)``; see :func:`mitouts.imaging.image.read_rgb`."""
        if path in self._kept:
            self._kept.move_to_end(path)
            return self._kept[path]
        image = read_rgb(path, expected_size=size_px)
        self._kept[path] = image
        self._bytes += image.nbytes
        while self._bytes > self.max_bytes:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return image

    def __getstate__(self) -> dict[str, Any]:
        return {'max_bytes': self.max_bytes, '_kept': OrderedDict(), '_bytes': 0}
