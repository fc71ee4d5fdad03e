"""What every kind of stage is, and what it may take from earlier ones."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mmengine.config import Config

import mitouts
from mitouts.datasets.figure_crops import FigureCropDataset
from mitouts.engine import runs
from mitouts.errors import ConfigError
from mitouts.registry import DATASETS, STAGES
from mitouts.utils.files import file_sha256

if TYPE_CHECKING:
    from mitouts.engine.stages.experiment import Experiment

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


class Stage:
    """One stage of an experiment. A kind of stage is a class in :data:`mitouts.registry.STAGES`, under its ``kind``.

    What a description of a stage may say beside ``name``, ``kind``, ``config`` and ``options`` are the further
    arguments of its class. Those that name earlier stages are checked by :meth:`check`.

    Args:
        name: Also the name of its work dir.
        config: Its config, with the experiment's overrides.

    Attributes:
        kind: What ``kind`` of a staged config says.
        gives_model: It leaves a checkpoint, ``best.pth``, that later stages may use.
        labels_name: The annotation file of images that it leaves for a training; None for none.
        split: Of which images ``labels_name`` is: ``train`` or ``val``.
        section: The key of ``results.json`` under which its summary stands; None for a row of the table.
    """

    kind: ClassVar[str]
    gives_model: ClassVar[bool] = False
    labels_name: ClassVar[str | None] = None
    split: str = 'train'

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self.config = config

    @property
    def section(self) -> str | None:
        return None

    @property
    def uses_crops(self) -> bool:
        """Whether its images are crops around figures, so that its model is a patch classifier and no localizer."""
        loader = self.config.get('train_dataloader') or self.config.get('test_dataloader') or {}
        return DATASETS.is_kind(loader.get('dataset', {}), FigureCropDataset)

    def enable_amp(self) -> None:
        """Turn mixed precision on; only a training has it."""

    def check(self, earlier: Mapping[str, Stage]) -> None:
        """Check that the stages that it names stand before it and give what it needs.

        Raises:
            ConfigError: One does not.
        """

    def take_inputs(self, config: Config, run: Experiment) -> None:
        """Put files of earlier stages into a copy of its config.

        Raises:
            ConfigError: An earlier stage is not finished.
        """

    def input_files(self, config: Config, run: Experiment) -> dict[str, Any]:
        """Further files that the result depends on, by role, beside data sets and weights of the config."""
        return {}

    def name_places(self, content: dict[str, Any]) -> None:
        """Put names of stages in the place of this run's files: these count by content, not by the run's folder."""

    def work(self, config: Config, folder: Path, run: Experiment, *, go_on: bool) -> dict[str, Any]:
        """Do what there is to do.

        Args:
            config: With the files of earlier stages.
            folder: Its work dir.
            run: The experiment.
            go_on: An interrupted run of the very same is gone on with.

        Returns:
            What ``results.json`` says of it.
        """
        raise NotImplementedError

    def model_config(self, run: Experiment) -> dict[str, Any] | None:
        """The model that its checkpoint fits, where its config does not say it."""
        return None

    def fingerprint(self, config: Config, run: Experiment) -> dict[str, str]:
        """Hashes of all that its result depends on, by role."""
        content = config._cfg_dict.to_dict()
        files = {
            role: file
            for loader in LOADERS
            if content.get(loader) is not None
            for role, file in dataset_files(content[loader]['dataset'], loader)
        }
        files['load_from'] = content.get('load_from')
        files |= weight_files(content['model'])
        files |= self.input_files(config, run)
        self.name_places(content)
        text = json.dumps(content, sort_keys=True, default=str)
        hashes = {'config': hashlib.sha256(text.encode()).hexdigest(), 'version': mitouts.__version__}
        if self.split != 'train':
            hashes['split'] = self.split
        return hashes | {role: file_sha256(file) for role, file in files.items() if file and Path(file).is_file()}

    def need(
        self, key: str, source: str | None, earlier: Mapping[str, Stage], suits: Callable[[Any], bool], what: str
    ) -> Stage:
        """The earlier stage that a key names.

        Args:
            key: The key.
            source: What it says.
            earlier: The stages before this one.
            suits: Whether a stage, or a kind of stage, can be it.
            what: What it must be, in words.

        Raises:
            ConfigError: There is none, or it does not suit.
        """
        if source is None or source not in earlier or not suits(earlier[source]):
            raise ConfigError(f'stage {self.name}: {key} must name an earlier {what}, found {source!r}')
        return earlier[source]

    def need_localizer(self, key: str, source: str | None, earlier: Mapping[str, Stage]) -> None:
        """Check that a key names the training of a localizer.

        Raises:
            ConfigError: It does not.
        """
        found = self.need(key, source, earlier, is_training, 'training stage')
        if found.uses_crops:
            raise ConfigError(f'stage {self.name}: {key} must name the training of a localizer, which {source} is not')

    def need_labels(
        self, key: str, source: str | None, earlier: Mapping[str, Stage], split: str, suits: Callable[[Any], bool]
    ) -> None:
        """Check that a key names a stage that leaves annotations of the images of a split.

        Raises:
            ConfigError: It does not.
        """
        if source is None:
            return
        found = self.need(key, source, earlier, suits, f'{kinds_that(suits)} stage')
        if found.split != split:
            raise ConfigError(
                f'stage {self.name}: {key} must name a distill stage of the {split} images, but stage {source} has '
                f'split={found.split!r}'
            )


def is_training(stage: Any) -> bool:
    """Whether a stage trains a model."""
    return bool(stage.gives_model) and stage.kind == 'train'


def gives_labels(stage: Any) -> bool:
    """Whether a stage, or a kind of it, leaves annotations of images for a training."""
    return stage.labels_name is not None


def kinds_that(suits: Callable[[Any], bool]) -> str:
    """The kinds of stages that suit, in words."""
    return ' or '.join(kind for kind, found in known_kinds().items() if suits(found))


def known_kinds() -> dict[str, type[Stage]]:
    """Every registered kind of stage."""
    STAGES.import_from_location()
    return dict(STAGES.module_dict)


def settings_of(kind: type[Stage]) -> list[str]:
    """What a description of such a stage may say beside name, kind, config and options."""
    return [name for name in inspect.signature(kind).parameters if name not in ('name', 'config')]


def take_images(config: Config, split: str, ann_file: Path) -> None:
    """Let a split's images be those of an annotation file.

    Raises:
        ConfigError: The data set takes no annotation file.
    """
    dataset = config[f'{split}_dataloader'].dataset
    if 'ann_file' not in dataset:
        raise ConfigError(
            f'config {config.filename}: {split}_dataloader.dataset has no ann_file, in whose place {ann_file.name} of '
            'an earlier stage could be put'
        )
    dataset.ann_file = str(ann_file)
    if 'data_root' in dataset:
        dataset.data_root = None


def dataset_files(dataset: Mapping[str, Any], role: str) -> Iterator[tuple[str, str]]:
    """Role and path of every file that the config of a data set names, whatever its arguments are called."""
    for key, value in dataset.items():
        if isinstance(value, Mapping):
            yield from dataset_files(value, f'{role}.{key}')
        elif isinstance(value, str) and value and Path(value).is_file():
            yield (role if key == 'ann_file' else f'{role}.{key}'), value


def weight_files(model: Mapping[str, Any], where: str = '') -> dict[str, Any]:
    """Role -> file that a model takes weights from, wherever in its config; the backbone's role is ``weights``."""
    found: dict[str, Any] = {}
    for key, value in model.items():
        if isinstance(value, Mapping):
            found |= weight_files(value, f'{where}{key}.')
        elif key in ('weights', 'checkpoint') and isinstance(value, str):
            found['weights' if (where, key) == ('backbone.', 'weights') else where + key] = value
    return found


def checkpoint_of(run: Experiment, stage: str | None) -> Path:
    """The checkpoint that an earlier stage left."""
    assert stage is not None, 'the stages were checked'
    return runs.checkpoint_of(run.folder(stage))
