"""Staged experiments: train, distil, train again, test; each stage in a work dir of its own."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import barrier, broadcast_object_list, is_main_process

import mitouts
from mitouts.distillation.distill import distill
from mitouts.engine import runs
from mitouts.engine.config import apply_overrides, enable_amp, load_config
from mitouts.engine.environment import collect_environment
from mitouts.errors import ConfigError
from mitouts.exchange.coco import write_json
from mitouts.utils.files import file_sha256

KINDS = ('train', 'distill', 'test')
STAGE_FILE = 'stage.json'
STARTED_FILE = 'started.json'


@dataclass(frozen=True)
class Stage:
    """One stage of an experiment.

    Attributes:
        name: Also the name of its work dir.
        kind: ``train``, ``distill`` or ``test``.
        config: Its config, with the experiment's overrides.
        model_from: For ``distill`` and ``test``, the training stage whose checkpoint is used.
        data_from: For ``train``, the distillation stage whose file is trained on.
    """

    name: str
    kind: str
    config: Config
    model_from: str | None = None
    data_from: str | None = None


@dataclass
class Experiment:
    """The stages of a config, in order, and where they work."""

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
                self._run_stage(stage, resume)
        results = self._collect()
        if is_main_process():
            write_json(self.work_dir / 'results.json', results)
        barrier()
        return results

    def folder(self, name: str) -> Path:
        """Work dir of a stage."""
        return self.work_dir / name

    def _take_finished(self, stage: Stage) -> None:
        finished = read_if_there(self.folder(stage.name) / STAGE_FILE)
        if finished is not None:
            self.results[stage.name] = finished['results']

    def _run_stage(self, stage: Stage, resume: bool) -> None:
        folder = self.folder(stage.name)
        config = self._with_inputs(stage)
        fingerprint = self._fingerprint(stage, config)
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
        if is_main_process():
            write_json(
                folder / STARTED_FILE,
                {
                    'fingerprint': fingerprint,
                    'seed': config.get('randomness', {}).get('seed'),
                    'environment': collect_environment(),
                },
            )
        barrier()
        self._say(f'stage {stage.name}: {"goes on" if go_on else "begins"}')
        self.results[stage.name] = self._work(stage, config, folder, go_on)
        if is_main_process():
            write_json(folder / STAGE_FILE, {'fingerprint': fingerprint, 'results': self.results[stage.name]})
        barrier()

    def _forget(self, folder: Path) -> None:
        """Undo what an earlier run left, its marks first: interrupted at any point, nothing old is gone on with."""
        if is_main_process():
            for name in (STAGE_FILE, STARTED_FILE):
                (folder / name).unlink(missing_ok=True)
        barrier()
        runs.set_aside(folder)

    def _work(self, stage: Stage, config: Config, folder: Path, go_on: bool) -> dict[str, Any]:
        begin = time.monotonic()
        if stage.kind == 'distill':
            result = distill(config, self._model(stage), folder, launcher=self.launcher)
            return {'kind': stage.kind, 'minutes': (time.monotonic() - begin) / 60, **result.summary}
        if stage.kind == 'train':
            trained = runs.train(config, folder, resume=go_on, launcher=self.launcher)
            checkpoint, minutes, images = trained.checkpoint, trained.minutes, trained.images
        else:
            checkpoint, minutes, images = self._model(stage), None, None
        test = runs.evaluate(
            config, checkpoint, folder / 'test', launcher=self.launcher, out=folder / 'predictions.json'
        )
        tested = {key: value for key, value in test.results.items() if key != 'images'}
        return {
            'kind': stage.kind,
            'minutes': minutes,
            'images': images,
            'test_images': test.results['images'],
            **tested,
        }

    def _model(self, stage: Stage) -> Path:
        assert stage.model_from is not None
        return runs.checkpoint_of(self.folder(stage.model_from))

    def _with_inputs(self, stage: Stage) -> Config:
        config = Config(stage.config._cfg_dict.to_dict(), filename=stage.config.filename)
        if stage.data_from is not None:
            source = self.folder(stage.data_from) / 'distilled.json'
            if not (source.is_file() and (source.parent / STAGE_FILE).is_file()):
                raise ConfigError(
                    f'stage {stage.name} trains on {source}, which is not finished: run stage {stage.data_from} first'
                )
            config.train_dataloader.dataset.ann_file = str(source)
            config.train_dataloader.dataset.data_root = None
        return config

    def _fingerprint(self, stage: Stage, config: Config) -> dict[str, str]:
        """Hashes of all that a stage's result depends on, by role."""
        content = config._cfg_dict.to_dict()
        files = {
            f'{split}_dataloader': content[f'{split}_dataloader']['dataset']['ann_file']
            for split in ('train', 'val', 'test')
            if content.get(f'{split}_dataloader') is not None
        }
        files['load_from'] = content.get('load_from')
        files['weights'] = content['model'].get('backbone', {}).get('weights')
        if stage.model_from is not None:
            files['model'] = str(self._model(stage))
        if stage.data_from is not None:
            # The file counts by its content, not by the folder that this run works in.
            content['train_dataloader']['dataset']['ann_file'] = stage.data_from
        text = json.dumps(content, sort_keys=True, default=str)
        fingerprint = {'config': hashlib.sha256(text.encode()).hexdigest(), 'version': mitouts.__version__}
        return fingerprint | {role: file_sha256(file) for role, file in files.items() if file and Path(file).is_file()}

    def _collect(self) -> dict[str, Any]:
        rows = [
            {'stage': stage.name, **self.results[stage.name]}
            for stage in self.stages
            if stage.kind != 'distill' and stage.name in self.results
        ]
        distilled = [self.results[s.name] for s in self.stages if s.kind == 'distill' and s.name in self.results]
        results: dict[str, Any] = {'stages': rows}
        if distilled:
            results['distillation'] = {k: v for k, v in distilled[-1].items() if k not in ('kind', 'minutes')}
        return results

    def _say(self, text: str) -> None:
        if is_main_process():
            print(text, flush=True)


def load_experiment(
    path: str | Path,
    work_dir: str | Path,
    cfg_options: Sequence[str] = (),
    *,
    launcher: str = 'none',
    amp: bool = False,
) -> Experiment:
    """Read a staged config.

    Args:
        path: Config with ``stages = [dict(name=, kind=, config=, ...), ...]``; each ``config`` is a path relative to
            this file, and ``options`` a list of ``key=value`` overrides of it.
        work_dir: Folder of the experiment.
        cfg_options: Overrides; ``STAGE.key=value`` goes to one stage.
        launcher: ``none``, ``pytorch`` or ``slurm``.
        amp: Mixed precision in every training.

    Raises:
        ConfigError: A stage is incomplete or an override is unknown.
    """
    config = load_config(path)
    descriptions = config.get('stages')
    if (
        not isinstance(descriptions, list)
        or not all(isinstance(each, dict) for each in descriptions)
        or not descriptions
    ):
        raise ConfigError(f'{path}: stages must be a list of dict(name=..., kind=..., config=...)')
    names = [description.get('name', '') for description in descriptions]
    per_stage = split_overrides(cfg_options, names)
    stages = []
    for description in descriptions:
        stage = _read_stage(dict(description), Path(path).parent, per_stage[description.get('name', '')])
        if amp and stage.kind == 'train':
            enable_amp(stage.config)
        stages.append(stage)
    _check_references(stages)
    return Experiment(stages, Path(work_dir), launcher)


def split_overrides(cfg_options: Sequence[str], names: Sequence[str]) -> dict[str, list[str]]:
    """Give each ``STAGE.key=value`` to its stage.

    Raises:
        ConfigError: An override begins with no stage's name.
    """
    per_stage: dict[str, list[str]] = {name: [] for name in names}
    for option in cfg_options:
        plus = '+' if option.startswith('+') else ''
        stage, _, rest = option.removeprefix('+').partition('.')
        if stage not in per_stage:
            raise ConfigError(
                f'--cfg-options {option}: in a staged config an override begins with the name of a stage, one of '
                f'{", ".join(names)}; for instance {names[0]}.{option.removeprefix("+")}'
            )
        per_stage[stage].append(plus + rest)
    return per_stage


def _read_stage(description: dict[str, Any], folder: Path, overrides: Sequence[str]) -> Stage:
    name, kind = description.pop('name', None), description.pop('kind', None)
    if not name or kind not in KINDS or 'config' not in description:
        raise ConfigError(
            f'a stage needs a name, a config and a kind out of {", ".join(KINDS)}; found name={name!r}, kind={kind!r}'
        )
    config = load_config(folder / description.pop('config'), description.pop('options', ()))
    apply_overrides(config, overrides)
    unknown = set(description) - {'model_from', 'data_from'}
    if unknown:
        raise ConfigError(
            f'stage {name}: unknown keys {", ".join(sorted(unknown))}; it may have model_from and data_from'
        )
    return Stage(name, kind, config, **description)


def _check_references(stages: Sequence[Stage]) -> None:
    seen: dict[str, str] = {}
    for stage in stages:
        if stage.kind != 'train' and seen.get(stage.model_from or '') != 'train':
            raise ConfigError(
                f'stage {stage.name}: model_from must name an earlier training stage, found {stage.model_from!r}'
            )
        if stage.data_from is not None and seen.get(stage.data_from) != 'distill':
            raise ConfigError(
                f'stage {stage.name}: data_from must name an earlier distill stage, found {stage.data_from!r}'
            )
        if stage.name in seen:
            raise ConfigError(f'two stages are called {stage.name!r}')
        seen[stage.name] = stage.kind


def read_if_there(path: Path) -> dict[str, Any] | None:
    """A JSON file as every rank sees it on rank 0; None where it does not exist."""
    content = [json.loads(path.read_text()) if is_main_process() and path.is_file() else None]
    broadcast_object_list(content)
    return content[0]
