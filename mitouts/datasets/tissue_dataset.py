"""Reads images that each have a label image, whose codes are tissue classes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mitouts.datasets.seeded import SeededDataset
from mitouts.errors import AnnotationError, ConfigError
from mitouts.formats.splits import assign_splits
from mitouts.functional.segmentation import IGNORE_INDEX, UNKNOWN_INDEX
from mitouts.imaging.image import probe
from mitouts.imaging.walk import find_images
from mitouts.registry import DATASETS

TCGA_CASE = r'TCGA-[A-Z0-9]{2}-[A-Z0-9]{4}'
_MPP_IN_NAME = re.compile(r'MPP-(\d+(?:\.\d+)?)')


@DATASETS.register_module()
class TissueDataset(SeededDataset):
    """The layout of BCSS (Amgad et al. 2019): ``images/NAME.png`` and ``masks/NAME.png``.

    Args:
        data_root: Folder that holds the images and the label images.
        classes: Names of the classes, in the order of the network's outputs.
        label_map: Class name -> the codes of the label images that belong to it.
        ignore_codes: Codes of pixels that are neither trained on nor scored.
        images: Folder of the images, below ``data_root``.
        masks: Folder of the label images, below ``data_root``; each has its image's name and ends in ``.png``.
        mpp: Micrometres per pixel of the images; None reads it from names such as ``..._MPP-0.2500.png``.
        case_pattern: Regular expression; the part that it matches at the beginning of a file's name is the case.
        split: Keep only this split: ``train``, ``val`` or ``test``.
        partition: Split -> beginnings of case ids, such as ``dict(test=['TCGA-OL'])``; all other cases train.
        split_file: CSV or JSON that says the split of every case or file, instead of ``partition``
            (:func:`mitouts.formats.splits.read_split_file`); relative to ``data_root``.
        crops_per_image: Number of times an image is used in one epoch; training images are far larger than a crop.

    Raises:
        AnnotationError: Folders or label images are missing, a name has no case or no resolution, or no image is left.
        ConfigError: The map does not fit the classes, or names a code twice.
    """

    def __init__(
        self,
        data_root: str,
        classes: Sequence[str],
        label_map: Mapping[str, Sequence[int]],
        ignore_codes: Sequence[int] = (0,),
        images: str = 'images',
        masks: str = 'masks',
        mpp: float | None = None,
        case_pattern: str = TCGA_CASE,
        split: str | None = None,
        partition: Mapping[str, Sequence[str]] | None = None,
        split_file: str | None = None,
        crops_per_image: int = 1,
        pipeline: Sequence[Any] = (),
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        if (partition is not None) + (split_file is not None) != (split is not None):
            raise ConfigError(
                'TissueDataset: a split needs partition or split_file, one of them, and they need a split'
            )
        if crops_per_image < 1:
            raise ConfigError(f'TissueDataset.crops_per_image must be at least 1, found {crops_per_image}')
        self.image_folder = Path(data_root) / images
        self.mask_folder = Path(data_root) / masks
        self.classes = tuple(classes)
        self.label_map = {name: tuple(codes) for name, codes in label_map.items()}
        self.ignore_codes = tuple(ignore_codes)
        self.code_table = code_table(self.classes, self.label_map, self.ignore_codes)
        self.mpp = mpp
        self.case_pattern = re.compile(case_pattern)
        self.split = split
        self.partition = partition
        self.split_file = None if split_file is None else Path(data_root) / split_file
        self.crops_per_image = crops_per_image
        super().__init__(pipeline=pipeline, seed=seed, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Return one entry for each image and crop, sorted by name."""
        self._metainfo['classes'] = self.classes
        self._metainfo['label_map'] = {name: list(codes) for name, codes in self.label_map.items()}
        self._metainfo['ignore_codes'] = list(self.ignore_codes)
        paths = self._paths()
        cases = [self._case(path) for path in paths]
        splits = self._splits(cases, paths)
        kept = [
            (number, path, case_id)
            for number, (path, case_id, split) in enumerate(zip(paths, cases, splits), start=1)
            if split == self.split
        ]
        if not kept:
            raise AnnotationError(
                f'{self.image_folder}: none of {len(paths)} images is in the split {self.split!r}; their cases are '
                f'{", ".join(sorted(set(cases))[:3])} and so on'
            )
        missing = [path for _, path, _ in kept if not self._mask_of(path).is_file()]
        if missing:
            raise AnnotationError(
                f'{self.mask_folder}: {len(missing)} of {len(kept)} label images do not exist, the first is '
                f'{self._mask_of(missing[0])}'
            )
        entries = [self._entry(number, path, case_id) for number, path, case_id in kept]
        return [dict(entry) for entry in entries for _ in range(self.crops_per_image)]

    def get_data_info(self, idx: int) -> dict[str, Any]:
        return {**super().get_data_info(idx), 'code_table': self.code_table}

    def _paths(self) -> list[Path]:
        if not self.image_folder.is_dir():
            raise AnnotationError(
                f'{self.image_folder} is no folder: set data_root to the folder that holds the images'
            )
        paths, _ = find_images(self.image_folder, max_depth=0)
        if not paths:
            raise AnnotationError(f'{self.image_folder} holds no image')
        first: dict[str, Path] = {}
        for path in paths:
            if first.setdefault(path.stem, path) != path:
                raise AnnotationError(
                    f'{self.image_folder}: {first[path.stem].name} and {path.name} have one label image, '
                    f'{path.stem}.png; leave one of them there'
                )
        return paths

    def _mask_of(self, path: Path) -> Path:
        return self.mask_folder / f'{path.stem}.png'

    def _case(self, path: Path) -> str:
        match = self.case_pattern.match(path.name)
        if match is None:
            raise AnnotationError(
                f'{path}: the name does not begin with a case ({self.case_pattern.pattern!r}); set case_pattern, so '
                'that no case is in two splits'
            )
        return match.group()

    def _splits(self, cases: Sequence[str], paths: Sequence[Path]) -> list[str | None]:
        if self.split_file is not None:
            named = [(case_id, path.name) for case_id, path in zip(cases, paths)]
            return assign_splits('tissue', named, self.split_file)[0]
        if self.partition is None:
            return [None] * len(cases)
        return [_split_of(case_id, self.partition) for case_id in cases]

    def _entry(self, number: int, path: Path, case_id: str) -> dict[str, Any]:
        info = probe(path)
        return {
            'img_path': str(path),
            'mask_path': str(self._mask_of(path)),
            'img_id': number,
            'case_id': case_id,
            'width': info.width,
            'height': info.height,
            'mpp': self._mpp_of(path),
        }

    def _mpp_of(self, path: Path) -> float:
        if self.mpp is not None:
            return float(self.mpp)
        match = _MPP_IN_NAME.search(path.stem)
        if match is None or not float(match.group(1)) > 0:
            raise AnnotationError(
                f'{path}: the resolution is neither given nor part of the name (as in ..._MPP-0.2500.png); set mpp, in '
                'micrometres per pixel'
            )
        return float(match.group(1))


def code_table(
    classes: Sequence[str], label_map: Mapping[str, Sequence[int]], ignore_codes: Sequence[int]
) -> NDArray[np.uint8]:
    """Return the look-up table from code to class index.

    Args:
        classes: Names, in order.
        label_map: Class name -> codes.
        ignore_codes: Codes that become :data:`~mitouts.functional.segmentation.IGNORE_INDEX`.

    Returns:
        ``(256,)`` uint8; :data:`~mitouts.functional.segmentation.UNKNOWN_INDEX` for codes that are not named.

    Raises:
        ConfigError: The map's keys are not the classes, or a code is named twice or out of range.
    """
    if sorted(label_map) != sorted(classes) or len(set(classes)) < len(classes):
        raise ConfigError(f'label_map must map each of {list(classes)} once, found {sorted(label_map)}')
    table = np.full(256, UNKNOWN_INDEX, dtype=np.uint8)
    pairs = [(code, index) for index, name in enumerate(classes) for code in label_map[name]]
    for code, index in [*pairs, *((code, IGNORE_INDEX) for code in ignore_codes)]:
        if not 0 <= code <= 255:
            raise ConfigError(f'label_map: codes lie between 0 and 255, found {code}')
        if table[code] != UNKNOWN_INDEX:
            raise ConfigError(f'label_map: the code {code} is named twice')
        table[code] = index
    return table


def _split_of(case_id: str, partition: Mapping[str, Sequence[str]]) -> str:
    splits = [split for split, beginnings in partition.items() if case_id.startswith(tuple(beginnings))]
    if len(splits) > 1:
        raise ConfigError(f'TissueDataset.partition puts case {case_id} into {" and ".join(splits)}')
    return splits[0] if splits else 'train'
