"""A data set whose augmentation is a function of seed, epoch, rank and worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from torch.utils.data import get_worker_info

from mitouts.errors import ConfigError
from mitouts.registry import TRANSFORMS


class SeededDataset(BaseDataset):
    """Hands every pipeline an ``augmentation_seed``; a resumed run draws what one never stopped does.

    Args:
        pipeline: Transforms.
        seed: Seed of the augmentation.
        **kwargs: Of mmengine's ``BaseDataset``.
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
        """Tell the augmentation which epoch begins, in this process and in its workers."""
        self._epoch.fill_(epoch)

    def prepare_data(self, idx: int) -> Any:
        info = self.get_data_info(idx)
        info['augmentation_seed'] = int(self._next_generator().integers(2**31))
        return self.transform(info)

    def transform(self, info: dict[str, Any]) -> Any:
        """Put an image through the pipeline.

        Raises:
            ConfigError: A step needs what no step before it has made.
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


def class_names(
    document: Mapping[str, Any], positive_categories: Sequence[int], ann_file: str | Path
) -> tuple[str, ...]:
    """Names of the categories that count as figures.

    Raises:
        ConfigError: The annotation file lacks one of them.
    """
    names = {category['id']: category['name'] for category in document['categories']}
    unknown = set(positive_categories) - set(names)
    if unknown:
        raise ConfigError(
            f'dataset.positive_categories holds {sorted(unknown)}, but {ann_file} has '
            f'{", ".join(f"{key} ({name})" for key, name in names.items())}'
        )
    return tuple(names[key] for key in positive_categories)
