"""Runs the stages of an experiment: train, distil, train again, test, each in a work dir of its own."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from mmengine.config import Config
from mmengine.dist import broadcast_object_list, is_main_process

import mitouts
from mitouts.datasets.figure_crops import FigureCropDataset
from mitouts.engine import runs
from mitouts.engine.environment import collect_environment
from mitouts.errors import ConfigError
from mitouts.evaluation.evaluator import LocalizationEvaluator
from mitouts.formats.coco import read_json, write_json
from mitouts.registry import DATASETS, EVALUATOR, STAGES
from mitouts.utils.files import file_sha256
from mitouts.utils.ranks import together

STAGE_FILE = 'stage.json'
STARTED_FILE = 'started.json'
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


@dataclass(eq=False)
class Stage:
    """Base class of stages; each kind is a class in :data:`mitouts.registry.STAGES` under its ``kind``.

    The description of a stage may have ``name``, ``kind``, ``config``, ``options`` and the further arguments of its
    class. Those that name earlier stages are checked by :meth:`check`.

    Args:
        name: Also the name of its work dir.
        config: Its config, with the experiment's overrides.

    Attributes:
        kind: Value of ``kind`` in a staged config.
        gives_model: Whether it leaves a checkpoint, ``best.pth``, that later stages may use.
        labels_name: The annotation file of images that it leaves for a training; None for none.
        split: Split that the images of ``labels_name`` belong to: ``train`` or ``val``.
        section: The key of ``results.json`` that its summary is under; None for a row of the table.
    """

    kind: ClassVar[str]
    gives_model: ClassVar[bool] = False
    labels_name: ClassVar[str | None] = None
    split = 'train'

    name: str
    config: Config

    @property
    def section(self) -> str | None:
        return None

    @property
    def uses_crops(self) -> bool:
        """Whether the images are crops around figures, so that the model is a patch classifier and not a localizer."""
        loader = self.config.get('train_dataloader') or self.config.get('test_dataloader') or {}
        return DATASETS.is_kind(loader.get('dataset', {}), FigureCropDataset)

    @property
    def finds_points(self) -> bool:
        """Whether the test scores points, which that of a tissue model does not."""
        return EVALUATOR.is_kind(self.config.get('test_evaluator') or {}, LocalizationEvaluator)

    def enable_amp(self) -> None:
        """Turn on mixed precision; only stages that train have it."""

    def check(self, earlier: Mapping[str, Stage]) -> None:
        """Check that the stages it refers to come earlier and produce what it needs.

        Raises:
            ConfigError: One does not.
        """

    def take_inputs(self, config: Config, run: Experiment) -> None:
        """Put files of earlier stages into a copy of the stage's config.

        Raises:
            ConfigError: An earlier stage is not finished.
        """

    def input_files(self, config: Config, run: Experiment) -> dict[str, Any]:
        """Return further files that the result depends on, by role, beside the config's data sets and weights."""
        return {}

    def name_places(self, content: dict[str, Any]) -> None:
        """Replace paths of this run's files by names of stages: these files are compared by content, not by folder."""

    def work(self, config: Config, folder: Path, run: Experiment, *, go_on: bool) -> dict[str, Any]:
        """Run the stage.

        Args:
            config: Config with the files of earlier stages.
            folder: Work dir of the stage.
            run: The experiment.
            go_on: Whether an interrupted run of the same stage is continued.

        Returns:
            What ``results.json`` says of it.
        """
        raise NotImplementedError

    def model_config(self, run: Experiment) -> dict[str, Any] | None:
        """Return the config of the checkpoint's model, if it differs from the stage's own config."""
        return None

    def fingerprint(self, config: Config, run: Experiment) -> dict[str, str]:
        """Hash everything that the stage's result depends on, by role."""
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
        self, key: str, source: str | None, earlier: Mapping[str, Stage], suits: Callable[[Stage], bool], what: str
    ) -> Stage:
        """Return the earlier stage that a key names.

        Args:
            key: The key.
            source: Value of the key.
            earlier: The stages before this one.
            suits: Whether a stage can be it.
            what: What the value must name, in words, for errors.

        Raises:
            ConfigError: There is none, or it does not suit.
        """
        if source is None or source not in earlier or not suits(earlier[source]):
            raise ConfigError(f'stage {self.name}: {key} must name an earlier {what}, found {source!r}')
        return earlier[source]

    def need_localizer(self, key: str, source: str | None, earlier: Mapping[str, Stage]) -> None:
        """Check that a key names a stage that trains a localizer.

        Raises:
            ConfigError: It does not.
        """
        training = self.need(key, source, earlier, lambda stage: stage.kind == 'train', 'training stage')
        if training.uses_crops or not training.finds_points:
            raise ConfigError(f'stage {self.name}: {key} must name the training of a localizer, which {source} is not')

    def need_labels(self, key: str, source: str | None, earlier: Mapping[str, Stage], split: str) -> None:
        """Check that a key, if it names a stage, names one that writes annotations of the images of a split.

        Raises:
            ConfigError: It does not.
        """
        if source is None:
            return
        # Only a stage that can be told a split leaves other images than those of the training.
        suiting = [
            name
            for name, kind in known_kinds().items()
            if kind.labels_name is not None and (split == 'train' or 'split' in settings_of(kind))
        ]
        stage = self.need(key, source, earlier, lambda stage: stage.kind in suiting, f'{" or ".join(suiting)} stage')
        if stage.split != split:
            raise ConfigError(
                f'stage {self.name}: {key} must name a distill stage of the {split} images, but stage {source} has '
                f'split={stage.split!r}'
            )


@dataclass
class Experiment:
    """The stages of a config, in order, and their work dir."""

    stages: list[Stage]
    work_dir: Path
    launcher: str = 'none'
    results: dict[str, dict[str, Any]] = field(default_factory=dict)

    def run(self, *, resume: bool = False, only: Sequence[str] = ()) -> dict[str, Any]:
        """Run the stages; with ``resume`` those that are finished and unchanged are skipped.

        Returns:
            The content of ``results.json``.
        """
        unknown = set(only) - {stage.name for stage in self.stages}
        if unknown:
            names = ', '.join(stage.name for stage in self.stages)
            raise ConfigError(f'--stages {" ".join(sorted(unknown))}: the stages of this config are {names}')
        for stage in self.stages:
            if only and stage.name not in only:
                self._take_finished(stage)
            else:
                self.run_stage(stage, resume=resume)
        results = self._collect()
        with together():
            if is_main_process():
                write_json(self.work_dir / 'results.json', results)
        return results

    def folder(self, name: str) -> Path:
        """Return the work dir of a stage."""
        return self.work_dir / name

    def stage(self, name: str | None) -> Stage:
        """Return the stage of a name."""
        return next(stage for stage in self.stages if stage.name == name)

    def made_by(self, stage: Stage, source: str | None, name: str) -> Path:
        """Return the path of a file that an earlier stage has written for another.

        Args:
            stage: The stage that needs the file.
            source: The earlier stage.
            name: Name of the file.

        Raises:
            ConfigError: The earlier stage is not finished.
        """
        assert source is not None, 'the stages were checked'
        path = self.folder(source) / name
        if not (path.is_file() and (path.parent / STAGE_FILE).is_file()):
            raise ConfigError(f'stage {stage.name} needs {path}, which is not finished: run stage {source} first')
        return path

    def labels_of(self, stage: Stage, source: str) -> Path:
        """Return the annotation file that an earlier stage has written for another; see :meth:`made_by`."""
        name = self.stage(source).labels_name
        assert name is not None, 'the stages were checked'
        return self.made_by(stage, source, name)

    def _take_finished(self, stage: Stage) -> None:
        finished = read_if_there(self.folder(stage.name) / STAGE_FILE)
        if finished is not None:
            self.results[stage.name] = finished['results']

    def run_stage(self, stage: Stage, *, resume: bool) -> None:
        """Run one stage into its work dir; with ``resume`` it is skipped if it is finished and unchanged."""
        folder = self.folder(stage.name)
        with together():
            config = Config(stage.config._cfg_dict.to_dict(), filename=stage.config.filename)
            stage.take_inputs(config, self)
            fingerprint = stage.fingerprint(config, self)
        finished = read_if_there(folder / STAGE_FILE)
        if resume and finished is not None and finished['fingerprint'] == fingerprint:
            self.results[stage.name] = finished['results']
            self._say(f'stage {stage.name}: finished earlier, skipped')
            return
        started = read_if_there(folder / STARTED_FILE)
        go_on = resume and finished is None and started is not None and started['fingerprint'] == fingerprint
        if resume and not go_on and (started or finished):
            self._say(f'stage {stage.name}: its config or its inputs have changed since, so it is run again')
        if not go_on:
            self._forget(folder)
        with together():
            if is_main_process():
                write_json(
                    folder / STARTED_FILE,
                    {
                        'fingerprint': fingerprint,
                        'seed': config.get('randomness', {}).get('seed'),
                        'environment': collect_environment(),
                    },
                )
        self._say(f'stage {stage.name}: {"goes on" if go_on else "begins"}')
        self.results[stage.name] = stage.work(config, folder, self, go_on=go_on)
        with together():
            if is_main_process():
                write_json(folder / STAGE_FILE, {'fingerprint': fingerprint, 'results': self.results[stage.name]})

    def _forget(self, folder: Path) -> None:
        """Undo an earlier run, its marks first, so that nothing old is resumed if this is interrupted."""
        with together():
            if is_main_process():
                for name in (STAGE_FILE, STARTED_FILE):
                    (folder / name).unlink(missing_ok=True)
        runs.set_aside(folder)

    def _collect(self) -> dict[str, Any]:
        results: dict[str, Any] = {'stages': []}
        for stage in self.stages:
            result = self.results.get(stage.name)
            if result is None:
                continue
            if stage.section is None:
                results['stages'].append({'stage': stage.name, **result})
            else:
                summary = {key: value for key, value in result.items() if key != 'kind'}
                results.setdefault(stage.section, {})[stage.name] = summary
        if 'distillations' in results:
            # The first is the Teacher's; controls, where there are any, follow it.
            first = next(iter(results['distillations'].values()))
            results['distillation'] = {key: value for key, value in first.items() if key != 'minutes'}
        return results

    def _say(self, text: str) -> None:
        if is_main_process():
            print(text, flush=True)


def known_kinds() -> dict[str, type[Stage]]:
    """Return every registered kind of stage by name."""
    STAGES.import_from_location()
    return dict(STAGES.module_dict)


def settings_of(kind: type[Stage]) -> list[str]:
    """List the arguments of a kind of stage beside name, kind, config and options."""
    return [name for name in inspect.signature(kind).parameters if name not in ('name', 'config')]


def take_images(config: Config, split: str, ann_file: Path) -> None:
    """Replace the images of a split by those of an annotation file.

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
    """Yield role and path of every file that a data set's config names, under whatever key."""
    for key, value in dataset.items():
        if isinstance(value, Mapping):
            yield from dataset_files(value, f'{role}.{key}')
        elif isinstance(value, str) and value and Path(value).is_file():
            yield (role if key == 'ann_file' else f'{role}.{key}'), value


def weight_files(model: Mapping[str, Any], where: str = '') -> dict[str, Any]:
    """Find the files that a model takes weights from, by role; the role of the backbone's is ``weights``."""
    files: dict[str, Any] = {}
    for key, value in model.items():
        if isinstance(value, Mapping):
            files |= weight_files(value, f'{where}{key}.')
        elif key in ('weights', 'checkpoint') and isinstance(value, str):
            files['weights' if (where, key) == ('backbone.', 'weights') else where + key] = value
    return files


def stage_checkpoint(run: Experiment, stage: str | None) -> Path:
    """Return the checkpoint of an earlier stage."""
    assert stage is not None, 'the stages were checked'
    return runs.checkpoint_of(run.folder(stage))


def read_if_there(path: Path) -> dict[str, Any] | None:
    """Read a JSON file on rank 0 and share it with all ranks; None if it does not exist."""
    content: list[dict[str, Any] | None] = [None]
    with together():
        if is_main_process() and path.is_file():
            content = [read_json(path)]
    broadcast_object_list(content)
    return content[0]
