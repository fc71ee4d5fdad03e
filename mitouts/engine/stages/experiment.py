"""Staged experiments: train, distil, train again, test; each stage in a work dir of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import broadcast_object_list, is_main_process

from mitouts.engine import runs
from mitouts.engine.config import load_config
from mitouts.engine.data_sets import DATA_KEY, named_in
from mitouts.engine.environment import collect_environment
from mitouts.engine.overrides import apply_overrides
from mitouts.engine.stages.base import Stage, known_kinds, settings_of
from mitouts.errors import ConfigError
from mitouts.formats.coco import read_json, write_json
from mitouts.utils.config_files import find_config
from mitouts.utils.ranks import together

STAGE_FILE = 'stage.json'
STARTED_FILE = 'started.json'
DESCRIPTION_KEYS = ('name', 'kind', 'config', 'options', DATA_KEY)
"""What every description of a stage may say; the rest is of its kind."""


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

    def stage(self, name: str | None) -> Stage:
        """The stage of a name."""
        return next(stage for stage in self.stages if stage.name == name)

    def made_by(self, stage: Stage, source: str | None, name: str) -> Path:
        """A file that an earlier stage has left for another.

        Args:
            stage: Who needs it.
            source: The earlier stage.
            name: Its file.

        Raises:
            ConfigError: The earlier stage is not finished.
        """
        assert source is not None, 'the stages were checked'
        path = self.folder(source) / name
        if not (path.is_file() and (path.parent / STAGE_FILE).is_file()):
            raise ConfigError(f'stage {stage.name} needs {path}, which is not finished: run stage {source} first')
        return path

    def labels_of(self, stage: Stage, source: str) -> Path:
        """The annotation file of images that an earlier stage has left for another; see :meth:`made_by`."""
        name = self.stage(source).labels_name
        assert name is not None, 'the stages were checked'
        return self.made_by(stage, source, name)

    def _take_finished(self, stage: Stage) -> None:
        finished = read_if_there(self.folder(stage.name) / STAGE_FILE)
        if finished is not None:
            self.results[stage.name] = finished['results']

    def _run_stage(self, stage: Stage, resume: bool) -> None:
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
        """Undo what an earlier run left, its marks first: interrupted at any point, nothing old is gone on with."""
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


def load_experiment(
    path: str | Path,
    work_dir: str | Path,
    cfg_options: Sequence[str] = (),
    *,
    data: str | None = None,
    launcher: str = 'none',
    amp: bool = False,
) -> Experiment:
    """Read a staged config.

    Args:
        path: Config with ``stages = [dict(name=, kind=, config=, ...), ...]``; each ``config`` is a path relative to
            this file, ``options`` a list of ``key=value`` overrides of it, and ``data`` the data set in the place of
            its own. ``data = ...`` beside ``stages`` is that of all stages that name none.
        work_dir: Folder of the experiment.
        cfg_options: Overrides; ``STAGE.key=value`` goes to one stage, ``*.key=value`` to every stage.
        data: In the place of the config's ``data``; see :func:`mitouts.engine.data_sets.read_config`.
        launcher: ``none``, ``pytorch`` or ``slurm``.
        amp: Mixed precision in every training.

    Raises:
        ConfigError: A stage is incomplete or an override is unknown.
    """
    path = find_config(path)
    config = load_config(path, data=data)
    data = data or named_in(path, config.get(DATA_KEY))
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
        stage_data = named_in(path, description.get(DATA_KEY)) or data
        stage_path = path.parent / description['config']
        stage_config = load_config(stage_path, description.get('options', ()), stage_data)
        apply_overrides(stage_config, per_stage[description['name']])
        stage = make_stage(description, stage_config)
        if amp:
            stage.enable_amp()
        stages.append(stage)
    check_references(stages)
    return Experiment(stages, Path(work_dir), launcher)


def split_overrides(cfg_options: Sequence[str], names: Sequence[str]) -> dict[str, list[str]]:
    """Give each ``STAGE.key=value`` to its stage, and each ``*.key=value`` to all of them.

    Raises:
        ConfigError: An override begins with no stage's name.
    """
    per_stage: dict[str, list[str]] = {name: [] for name in names}
    for option in cfg_options:
        plus = '+' if option.startswith('+') else ''
        stage, _, rest = option.removeprefix('+').partition('.')
        if stage != '*' and stage not in per_stage:
            raise ConfigError(
                f'--cfg-options {option}: in a staged config an override begins with the name of a stage, one of '
                f'{", ".join(names)}, or with * for all of them; for instance {names[0]}.{option.removeprefix("+")}'
            )
        for name in names if stage == '*' else [stage]:
            per_stage[name].append(plus + rest)
    return per_stage


def check_description(description: Mapping[str, Any]) -> None:
    """Check that a stage has a name, a kind and a config.

    Raises:
        ConfigError: One of them is missing, or the kind is unknown.
    """
    name, kind, kinds = description.get('name'), description.get('kind'), known_kinds()
    if not name or kind not in kinds or 'config' not in description:
        raise ConfigError(
            f'a stage needs a name, a config and a kind out of {", ".join(kinds)}; found name={name!r}, kind={kind!r}'
        )


def make_stage(description: Mapping[str, Any], config: Config) -> Stage:
    """A stage from its description and its config.

    Raises:
        ConfigError: It has keys that its kind does not know.
    """
    name, kind = description['name'], known_kinds()[description['kind']]
    own = {key: value for key, value in description.items() if key not in DESCRIPTION_KEYS}
    known = settings_of(kind)
    unknown = set(own) - set(known)
    if unknown:
        raise ConfigError(f'stage {name}: unknown keys {", ".join(sorted(unknown))}; it may have {", ".join(known)}')
    return kind(name, config, **own)


def check_references(stages: Sequence[Stage]) -> None:
    """Check that every stage comes after those that it needs something of.

    Raises:
        ConfigError: It does not, or two stages have one name.
    """
    seen: dict[str, Stage] = {}
    for stage in stages:
        stage.check(seen)
        if stage.name in seen:
            raise ConfigError(f'two stages are called {stage.name!r}')
        seen[stage.name] = stage


def read_if_there(path: Path) -> dict[str, Any] | None:
    """A JSON file as every rank sees it on rank 0; None where it does not exist."""
    content: list[dict[str, Any] | None] = [None]
    with together():
        if is_main_process() and path.is_file():
            content = [read_json(path)]
    broadcast_object_list(content)
    return content[0]
