"""Data sets whose augmentation depends only on seed, epoch, rank and worker, and that read annotation files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from numpy.typing import NDArray
from torch.utils.data import get_worker_info

from mitouts.errors import AnnotationError, ConfigError
from mitouts.formats.coco import image_root, read_coco
from mitouts.formats.leakage import WITHIN_CASES_KEY
from mitouts.registry import TRANSFORMS


class SeededDataset(BaseDataset):
    """Gives every pipeline an ``augmentation_seed``, so that a resumed run draws the same as an uninterrupted one.

    Args:
        **kwargs: Arguments of mmengine's ``BaseDataset``.
    """

    def __init__(self, pipeline: Sequence[Any] = (), seed: int = 0, **kwargs: Any) -> None:
        self.seed = seed
        # Shared memory: persistent workers see the epoch that the hook sets in the main process.
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()
        self._generator_key: tuple[int, ...] = ()
        self._generator = np.random.default_rng(0)
        # Built here, because mmengine would look for our steps in its own registry unless a default scope is set.
        steps = [TRANSFORMS.build(step) if isinstance(step, Mapping) else step for step in pipeline]
        super().__init__(pipeline=steps, **kwargs)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch for the augmentation, in this process and in its workers."""
        self._epoch.fill_(epoch)

    def prepare_data(self, idx: int) -> Any:
        return self.transform(self._seeded_info(idx))

    def transform(self, info: dict[str, Any]) -> Any:
        """Put an image through the pipeline.

        Raises:
            ConfigError: A step needs a key that no earlier step has set.
        """
        known = {*info}
        try:
            return self.pipeline(info)
        except KeyError as error:
            if not error.args or error.args[0] in known:
                raise
            steps = ', '.join(type(step).__name__ for step in self.pipeline.transforms)
            raise ConfigError(
                f'a step of the pipeline needs {error.args[0]!r}, which no step before it has made: {steps}. Pipelines '
                'begin with LoadImage and end with the step that packs'
            ) from error

    def __getitem__(self, idx: int) -> Any:
        # BaseDataset retries with a random other image when a transform returns None; here nothing is lost silently.
        if not self._fully_initialized:
            self.full_init()
        return self.prepare_data(idx)

    def _seeded_info(self, idx: int) -> dict[str, Any]:
        return {**self.get_data_info(idx), 'augmentation_seed': int(self._next_generator().integers(2**31))}

    def _next_generator(self) -> np.random.Generator:
        worker = get_worker_info()
        key = (self.seed, int(self._epoch), _rank(), -1 if worker is None else worker.id)
        if key != self._generator_key:
            self._generator_key = key
            self._generator = np.random.default_rng([value + 1 for value in key])
        return self._generator


def _rank() -> int:
    distributed = torch.distributed
    return distributed.get_rank() if distributed.is_available() and distributed.is_initialized() else 0


class AnnotatedDataset(SeededDataset):
    """Reads an annotation file; every sample has a label.

    Args:
        data_root: Folder that ``file_name`` is relative to; None to use the file's own.
        positive_categories: Category ids that count as figures.
        **kwargs: Arguments of :class:`SeededDataset`.
    """

    def __init__(self, ann_file: str, data_root: str | None, positive_categories: Sequence[int], **kwargs: Any) -> None:
        self.image_root = data_root
        self.positive_categories = tuple(positive_categories)
        super().__init__(ann_file=str(ann_file), **kwargs)

    def labels(self) -> NDArray[np.int64]:
        """Return the labels of the samples ``(N,)``, int64, before augmentation."""
        return np.array([self.get_data_info(index)['gt_label'] for index in range(len(self))], dtype=np.int64)

    def _read_annotations(self) -> tuple[dict[str, Any], Path]:
        """Read the annotation file, find its image folder, and store its name, classes and stain as metainfo."""
        if not Path(self.ann_file).exists():
            raise AnnotationError(
                f'{self.ann_file}: no such file, though the config names it as its data: make it with mitouts '
                'synthesize, or with mitouts convert and mitouts prepare; or name another data set with --data'
            )
        document = read_coco(self.ann_file)
        origin = document['info'].get('mitouts', {})
        names = {category['id']: category['name'] for category in document['categories']}
        unknown = set(self.positive_categories) - set(names)
        if unknown:
            raise ConfigError(
                f'dataset.positive_categories holds {sorted(unknown)}, but {self.ann_file} has '
                f'{", ".join(f"{key} ({name})" for key, name in names.items())}'
            )
        self._metainfo['classes'] = tuple(names[key] for key in self.positive_categories)
        self._metainfo |= {key: origin.get(key) for key in ('stain_reference', 'name', WITHIN_CASES_KEY)}
        return document, image_root(self.ann_file, document, self.image_root)

    def _check_images(self, entries: Sequence[Mapping[str, Any]]) -> None:
        paths = dict.fromkeys(entry['img_path'] for entry in entries)
        missing = [path for path in paths if not Path(path).is_file()]
        if missing:
            raise AnnotationError(
                f'{self.ann_file}: {len(missing)} of {len(paths)} images do not exist, the first is {missing[0]}. '
                'Set data_root to the folder that file_name is relative to, or make the data set again'
            )
