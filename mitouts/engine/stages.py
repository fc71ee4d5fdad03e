"""Staged experiments: train, distil, train again, test; each stage in a work dir of its own."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import broadcast_object_list, is_main_process

import mitouts
from mitouts.engine import runs
from mitouts.engine.cascade import combine, model_of
from mitouts.engine.config import enable_amp, load_config
from mitouts.engine.distill import HARD_SAMPLES_NAME, distill
from mitouts.engine.environment import collect_environment
from mitouts.engine.overrides import apply_overrides
from mitouts.engine.proposals import SPLITS, proposal_file, propose
from mitouts.engine.stage_config import (
    LABELS_OF,
    Stage,
    check_description,
    check_references,
    make_stage,
    split_overrides,
)
from mitouts.errors import ConfigError
from mitouts.formats.coco import read_json, write_json
from mitouts.review.stage import simulated_review
from mitouts.utils.files import file_sha256
from mitouts.utils.ranks import together

STAGE_FILE = 'stage.json'
STARTED_FILE = 'started.json'


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
        with together():
            if is_main_process():
                write_json(self.work_dir / 'results.json', results)
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
        with together():
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
        self.results[stage.name] = self._work(stage, config, folder, go_on)
        with together():
            if is_main_process():
                write_json(folder / STAGE_FILE, {'fingerprint': fingerprint, 'results': self.results[stage.name]})

    def _forget(self, folder: Path) -> None:
        """Undo what an earlier run left, its marks first: interrupted at any point, nothing old is gone on with."""
        with together():
            if is_main_process():
                for name in (STAGE_FILE, STARTED_FILE):
                    (folder / name).unlink(missing_ok=True)
        runs.set_aside(folder)

    def _work(self, stage: Stage, config: Config, folder: Path, go_on: bool) -> dict[str, Any]:
        begin = time.monotonic()
        if stage.kind == 'distill':
            model = None if stage.model_from is None else self._model(stage)
            result = distill(config, model, folder, launcher=self.launcher, split=stage.split)
            return {'kind': stage.kind, 'minutes': (time.monotonic() - begin) / 60, **result.summary}
        if stage.kind == 'review':
            summary = simulated_review(config, self._hard_samples(stage), folder)
            return {'kind': stage.kind, 'minutes': (time.monotonic() - begin) / 60, **summary}
        if stage.kind == 'propose':
            splits = propose(config, self._model(stage), folder, launcher=self.launcher)
            return {'kind': stage.kind, 'minutes': (time.monotonic() - begin) / 60, **splits}
        minutes: float | None = None
        images: int | None = None
        if stage.kind == 'train':
            trained = runs.train(config, folder, resume=go_on, launcher=self.launcher)
            checkpoint, minutes, images = trained.checkpoint, trained.minutes, trained.images
        elif stage.kind == 'cascade':
            parts = self._model(stage), self._verifier(stage)
            checkpoint, config = combine(config, *parts, folder, launcher=self.launcher)
            minutes = (time.monotonic() - begin) / 60
        else:
            checkpoint = self._model(stage)
        test = runs.evaluate(
            config, checkpoint, folder / 'test', launcher=self.launcher, out=folder / 'predictions.json'
        )
        tested = {key: value for key, value in test.results.items() if key != 'images'}
        return {
            'kind': stage.kind,
            'minutes': minutes,
            'images': images,
            'test_images': test.results['images'],
            'test_ann_file': config.test_dataloader.dataset.ann_file,
            'positive_categories': list(config.test_dataloader.dataset.get('positive_categories', (1,))),
            **tested,
        }

    def _model(self, stage: Stage) -> Path:
        assert stage.model_from is not None
        return runs.checkpoint_of(self.folder(stage.model_from))

    def _verifier(self, stage: Stage) -> Path:
        assert stage.verifier_from is not None
        return runs.checkpoint_of(self.folder(stage.verifier_from))

    def _with_inputs(self, stage: Stage) -> Config:
        config = Config(stage.config._cfg_dict.to_dict(), filename=stage.config.filename)
        if stage.kind == 'distill' and stage.data_from is not None:
            config.distillation.criterion.like = str(self._hard_samples(stage))
        elif stage.kind == 'train' and stage.uses_crops:
            for split in SPLITS if stage.data_from is not None else ():
                self._take_images(config, split, self._proposals(stage, split))
        elif stage.kind in ('train', 'propose'):
            for split, source in (('train', stage.data_from), ('val', stage.val_from)):
                if source is not None:
                    self._take_images(config, split, self._made_by(stage, source, LABELS_OF[self._kind_of(source)]))
        elif stage.kind == 'test' and self._kind_of(stage.model_from) == 'cascade':
            config.model = model_of(self._model(stage))
        return config

    def _take_images(self, config: Config, split: str, ann_file: Path) -> None:
        dataset = config[f'{split}_dataloader'].dataset
        dataset.ann_file = str(ann_file)
        dataset.data_root = None

    def _proposals(self, stage: Stage, split: str) -> Path:
        assert stage.data_from is not None
        return self._made_by(stage, stage.data_from, proposal_file(Path(), split).name)

    def _kind_of(self, name: str | None) -> str:
        return next(stage.kind for stage in self.stages if stage.name == name)

    def _hard_samples(self, stage: Stage) -> Path:
        assert stage.data_from is not None
        return self._made_by(stage, stage.data_from, HARD_SAMPLES_NAME)

    def _made_by(self, stage: Stage, source: str, name: str) -> Path:
        path = self.folder(source) / name
        if not (path.is_file() and (path.parent / STAGE_FILE).is_file()):
            raise ConfigError(f'stage {stage.name} needs {path}, which is not finished: run stage {source} first')
        return path

    def _fingerprint(self, stage: Stage, config: Config) -> dict[str, str]:
        """Hashes of all that a stage's result depends on, by role."""
        content = config._cfg_dict.to_dict()
        files = {
            f'{split}_dataloader': content[f'{split}_dataloader']['dataset']['ann_file']
            for split in ('train', 'val', 'test')
            if content.get(f'{split}_dataloader') is not None
        }
        files['load_from'] = content.get('load_from')
        files |= _weight_files(content['model'])
        if stage.model_from is not None:
            files['model'] = str(self._model(stage))
        if stage.verifier_from is not None:
            files['verifier'] = str(self._verifier(stage))
        # A file of this run counts by its content, not by the folder that the run works in.
        if stage.kind == 'distill' and stage.data_from is not None:
            files['like'] = content['distillation']['criterion']['like']
            content['distillation']['criterion']['like'] = stage.data_from
        elif stage.kind == 'distill':
            files['like'] = ((content.get('distillation') or {}).get('criterion') or {}).get('like')
        elif stage.kind == 'review':
            files['hard_samples'] = str(self._hard_samples(stage))
        elif stage.data_from is not None:
            for split in SPLITS if stage.uses_crops else SPLITS[:1]:
                content[f'{split}_dataloader']['dataset']['ann_file'] = stage.data_from
        if stage.val_from is not None:
            content['val_dataloader']['dataset']['ann_file'] = stage.val_from
        text = json.dumps(content, sort_keys=True, default=str)
        fingerprint = {'config': hashlib.sha256(text.encode()).hexdigest(), 'version': mitouts.__version__}
        if stage.split != 'train':
            fingerprint['split'] = stage.split
        return fingerprint | {role: file_sha256(file) for role, file in files.items() if file and Path(file).is_file()}

    def _collect(self) -> dict[str, Any]:
        rows = [
            {'stage': stage.name, **self.results[stage.name]}
            for stage in self.stages
            if stage.kind in ('train', 'cascade', 'test') and not stage.uses_crops and stage.name in self.results
        ]
        distilled, reviewed = self._summaries('distill'), self._summaries('review')
        proposed, verifiers = self._summaries('propose'), self._summaries('train', 'test', crops=True)
        results: dict[str, Any] = {'stages': rows}
        if distilled:
            # The first is the Teacher's; controls, where there are any, follow it.
            first = next(iter(distilled.values()))
            results['distillation'] = {key: value for key, value in first.items() if key != 'minutes'}
            results['distillations'] = distilled
        if reviewed:
            results['reviews'] = reviewed
        if proposed:
            results['proposals'] = proposed
        if verifiers:
            # What a patch classifier scores on crops stands beside no localizer's.
            results['verifiers'] = verifiers
        return results

    def _summaries(self, *kinds: str, crops: bool = False) -> dict[str, dict[str, Any]]:
        return {
            stage.name: {key: value for key, value in self.results[stage.name].items() if key != 'kind'}
            for stage in self.stages
            if stage.kind in kinds and stage.uses_crops == crops and stage.name in self.results
        }

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
        cfg_options: Overrides; ``STAGE.key=value`` goes to one stage, ``*.key=value`` to every stage.
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
        check_description(description)
        stage_config = load_config(Path(path).parent / description['config'], description.get('options', ()))
        apply_overrides(stage_config, per_stage[description['name']])
        if amp and description['kind'] == 'train':
            enable_amp(stage_config)
        stages.append(make_stage(description, stage_config))
    check_references(stages)
    return Experiment(stages, Path(work_dir), launcher)


def read_if_there(path: Path) -> dict[str, Any] | None:
    """A JSON file as every rank sees it on rank 0; None where it does not exist."""
    content: list[dict[str, Any] | None] = [None]
    with together():
        if is_main_process() and path.is_file():
            content = [read_json(path)]
    broadcast_object_list(content)
    return content[0]


def _weight_files(model: Mapping[str, Any], where: str = '') -> dict[str, Any]:
    """Role -> file that a model takes weights from, wherever in its config; the backbone's role is ``weights``."""
    found: dict[str, Any] = {}
    for key, value in model.items():
        if isinstance(value, Mapping):
            found |= _weight_files(value, f'{where}{key}.')
        elif key in ('weights', 'checkpoint') and isinstance(value, str):
            found['weights' if (where, key) == ('backbone.', 'weights') else where + key] = value
    return found
