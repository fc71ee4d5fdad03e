"""Reads images with a label and, where they are known, annotated points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mitouts.datasets.seeded import AnnotatedDataset
from mitouts.errors import AnnotationError, ConfigError
from mitouts.formats.coco import MITOTIC_FIGURE
from mitouts.formats.image_truths import image_truths
from mitouts.registry import DATASETS
from mitouts.structures import ImageTruth


@DATASETS.register_module()
class PointDataset(AnnotatedDataset):
    """The COCO JSON of ``docs/data_format.md``.

    The image label is ``images[].label`` where present, otherwise 1 when the image has a point of a positive
    category. A training pipeline that moves points out of the image changes a derived label, not a given one.
    An image without a label that shows nothing but parts of figures cut by its border is left out: it is neither a
    positive nor a negative sample.

    Args:
        data_root: Folder that ``file_name`` is relative to; default ``info.mitouts.image_root`` of the file (a
            distilled file names its source's folder there), and without it the folder of ``ann_file``.
        positive_categories: Category ids that count as positive; ``[1, 2]`` trains with hard negatives as positives.
        case_subset: Keep only the images of these cases.
        split: Keep only the images with this ``images[].split``, for a file that holds several.
        max_points: Leave out images with more annotated points than this (the authors' public code trains on patches
            with at most one figure); None keeps all.
        need_points: Refuse positive images without an annotated point, which only image-level training can use.

    A sample's weight in the loss is ``images[].weight`` where present, otherwise 1; while a training runs it may be
    changed by :meth:`set_weights`.

    Raises:
        AnnotationError: The file is broken, empty, or names images that do not exist.
        ConfigError: A positive category is not in the file.
    """

    def __init__(
        self,
        ann_file: str,
        data_root: str | None = None,
        positive_categories: Sequence[int] = (MITOTIC_FIGURE,),
        pipeline: Sequence[Any] = (),
        seed: int = 0,
        case_subset: Sequence[str] | None = None,
        split: str | None = None,
        max_points: int | None = None,
        need_points: bool = False,
        **kwargs: Any,
    ) -> None:
        if max_points is not None and max_points < 0:
            raise ConfigError(f'dataset.max_points must be at least 0, or None, found {max_points}')
        self.max_points = max_points
        self.need_points = need_points
        self.case_subset = None if case_subset is None else {str(case_id) for case_id in case_subset}
        self.split = split
        super().__init__(ann_file, data_root, positive_categories, pipeline=pipeline, seed=seed, **kwargs)
        stored = super().get_data_info
        given = [float(stored(index)['gt_weight']) for index in range(len(self))]
        # Shared memory: persistent workers see the weights that a hook sets in the main process.
        self._weights = torch.tensor(given, dtype=torch.float32).share_memory_()

    def load_data_list(self) -> list[dict[str, Any]]:
        """Return one entry for each image: path, label, points."""
        document, root = self._read_annotations()
        truths = image_truths(document, self.positive_categories, root)
        wanted = [
            image
            for image in document['images']
            if (self.case_subset is None or str(image['case_id']) in self.case_subset)
            and (self.split is None or image.get('split') == self.split)
        ]
        entries = [
            self._entry(image, truths[image['id']])
            for image in wanted
            if (image.get('label') is not None or not truths[image['id']].is_ambiguous)
            and (self.max_points is None or len(truths[image['id']].points) <= self.max_points)
        ]
        self._metainfo['num_left_out'] = len(wanted) - len(entries)
        self._check_entries(entries)
        return entries

    def _entry(self, image: dict[str, Any], truth: ImageTruth) -> dict[str, Any]:
        return {
            'img_path': truth.path,
            'img_id': truth.image_id,
            'source_image': image.get('source_image'),
            'case_id': truth.case_id,
            'case_known': image.get('case_known', True),
            'height': truth.height,
            'width': truth.width,
            'mpp': truth.mpp,
            'gt_points': truth.points.astype(np.float32),
            'gt_counted': truth.counted,
            'gt_cut': truth.cut.astype(np.float32),
            'gt_weight': float(image.get('weight', 1.0)),
            'teacher_score': float(image.get('teacher_score', math.nan)),
            'label_given': image.get('label') is not None,
            'gt_label': truth.label,
        }

    def get_data_info(self, idx: int) -> dict[str, Any]:
        return {**super().get_data_info(idx), 'gt_weight': float(self._weights[idx])}

    def weights(self) -> np.ndarray:
        """Return the current sample weights ``(N,)``, float32."""
        return self._weights.numpy().copy()

    def teacher_scores(self) -> np.ndarray:
        """Return the image scores of the Teacher that distilled the file ``(N,)``, float64; NaN where it has none."""
        return np.array([self.get_data_info(index)['teacher_score'] for index in range(len(self))], dtype=np.float64)

    def set_weights(self, weights: np.ndarray) -> None:
        """Change the sample weights, in this process and in its workers.

        Args:
            weights: ``(N,)`` from 0 to 1; a sample with 0 is not drawn by :class:`ClassBalancedSampler`.

        Raises:
            ValueError: The length differs, or a value is outside 0 to 1.
        """
        given = torch.as_tensor(np.asarray(weights, dtype=np.float32))
        if given.shape != self._weights.shape or not bool(((given >= 0) & (given <= 1)).all()):
            raise ValueError(f'expected {len(self._weights)} weights from 0 to 1, found shape {tuple(given.shape)}')
        self._weights.copy_(given)

    def _check_entries(self, entries: list[dict[str, Any]]) -> None:
        if not entries:
            raise AnnotationError(
                f'{self.ann_file}: no image is left after case_subset={sorted(self.case_subset or ())}, '
                f'split={self.split} and max_points={self.max_points}'
            )
        self._check_images(entries)
        unplaced = [entry['img_path'] for entry in entries if entry['gt_label'] == 1 and not len(entry['gt_points'])]
        if self.need_points and unplaced:
            raise AnnotationError(
                f'{self.ann_file}: {len(unplaced)} of {len(entries)} images are labelled positive without an annotated '
                f'point, the first is {unplaced[0]}. This model learns from points: annotate them, or train one that '
                'learns from image labels (configs/wss)'
            )
