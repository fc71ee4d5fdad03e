"""Reads the YAML file of a suite: configs x seeds x folds, each with a folder of its own."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config

from mitouts.engine.config import load_config
from mitouts.engine.data_sets import DATA_KEY, named_in
from mitouts.errors import ConfigError
from mitouts.utils.config_files import find_config

SUITE_KEYS = {'name', 'data', 'seeds', 'folds', 'variables', 'prepare', 'cfg_options', 'groups'}
GROUP_KEYS = {'name', 'config', 'data', 'seeds', 'folds', 'cells', 'values', 'cfg_options', 'stages', 'prepare'}
WRAPPER = 'experiment.py'
OWN_VALUES = ('fold', 'seed')
_PLACEHOLDER = re.compile(r'\{(\w+)\}')
# A name is a folder, the name of a job and, for --only, a pattern.
_NAME = re.compile(r'[\w+-][\w.+-]*')


@dataclass(frozen=True)
class SuiteRun:
    """One training (or staged experiment) of a suite.

    Attributes:
        suite: Name of the suite.
        group: Name of the group; entries with the same name add stages or cells to one group.
        config: The config's path.
        fold: The fold, or None.
        cfg_options: Overrides, placeholders filled in, the seed's among them.
        stages: The stages that are run; empty for all.
        prepare: Commands that must have run before, each a list of words.
        data: The data set in the place of the config's own; None for its own.
    """

    suite: str
    group: str
    config: str
    fold: int | None
    seed: int
    cfg_options: tuple[str, ...]
    stages: tuple[str, ...] = ()
    prepare: tuple[tuple[str, ...], ...] = ()
    data: str | None = None

    @property
    def folder_name(self) -> str:
        """Name of the run's folder: ``fold{K}_seed{S}``, or ``seed{S}`` without folds."""
        return f'seed{self.seed}' if self.fold is None else f'fold{self.fold}_seed{self.seed}'

    @property
    def name(self) -> str:
        """Group and folder."""
        return f'{self.group}/{self.folder_name}'

    @property
    def entry(self) -> str:
        """Hash of config file, overrides and stages; a run that was done with others is not done."""
        text = Path(self.config).read_text(encoding='utf-8')
        on_data = [] if self.data is None else ['--data', self.data]
        parts = [text, *on_data, *self.cfg_options, '--', *self.stages]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    @property
    def settings(self) -> str:
        """Hash of the whole config, including what it inherits and the configs of its stages."""
        return _settings(Path(self.config).resolve(), self.data)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``run.json``."""
        names = ('suite', 'group', 'config', 'data', 'fold', 'seed')
        return {**{name: getattr(self, name) for name in names}, 'cfg_options': list(self.cfg_options)}


def read_suite_file(path: str | os.PathLike[str], variables: Mapping[str, str] | None = None) -> list[SuiteRun]:
    """Read a suite.

    The YAML holds ``name``, ``seeds``, ``folds`` (left out: no folds), ``cfg_options`` and ``prepare`` for all groups,
    ``data`` (the data set in the place of the configs' own), ``variables`` (a null one must be given), and ``groups``:
    a list of ``name``, ``config`` and, where they differ, ``data``, ``seeds``, ``folds``, ``cfg_options`` (added),
    ``prepare`` (added), ``stages`` (only these), ``values`` (variables of this group) and ``cells`` (pairs of fold and
    seed instead of all combinations). ``{fold}``, ``{seed}`` and the variables are filled in, in ``cfg_options`` and
    ``prepare``.

    Args:
        path: The YAML file, or the name of one, such as ``suites/phantom``; configs in it are relative to the working
            directory, or names.
        variables: Values of its variables.

    Returns:
        The runs, in the order of the file.

    Raises:
        ConfigError: The file is broken, a key or a stage is unknown, a variable has no value, or a config does not
            exist.
    """
    content = _read_yaml(Path(path))
    _known(content, SUITE_KEYS, str(path))
    declared = _values(content, 'variables', str(path))
    values = {**declared, **(variables or {})}
    unknown = set(variables or {}) - set(declared)
    if unknown:
        raise ConfigError(f'{path} has no variables {", ".join(sorted(unknown))}; it has {", ".join(values) or "none"}')
    groups = content.get('groups')
    if not isinstance(groups, list) or not groups:
        raise ConfigError(f'{path}: expected a list under groups, found {groups!r}')
    runs: list[SuiteRun] = []
    for group in groups:
        _known(group, GROUP_KEYS, f'{path}: group {group.get("name")!r}' if isinstance(group, dict) else str(path))
        runs.extend(_expand(group, content, values, str(path)))
    _one_config_each(runs, str(path))
    return runs


def _expand(group: dict[str, Any], suite: dict[str, Any], values: Mapping[str, Any], where: str) -> list[SuiteRun]:
    suite_name = _name(suite.get('name', Path(where).stem), where)
    name, config = _name(group.get('name'), f'{where}: group'), group.get('config')
    place = f'{where}: group {name}'
    try:
        config = str(find_config(str(config)))
    except ConfigError as error:
        raise ConfigError(f'{place}: {error}') from error
    data = group.get(DATA_KEY, suite.get(DATA_KEY))
    if data is not None and not isinstance(data, str):
        raise ConfigError(f'{place}: data must be the name of a data set, found {data!r}')
    known_stages = _stages(Path(config).resolve(), data)
    chosen = _texts(group, 'stages', place)
    unknown = [stage for stage in chosen if stage not in known_stages]
    if unknown:
        known = f'its stages are {", ".join(known_stages)}' if known_stages else 'it has no stages to choose from'
        raise ConfigError(f'{place}: {config} has no stages {", ".join(unknown)}; {known}')
    # A config of one training runs as an experiment whose only stage is called "model".
    prefix = '*.' if known_stages else 'model.'
    options = [*_texts(suite, 'cfg_options', where), *_texts(group, 'cfg_options', place)]
    commands = [_words(each, where) for each in (*_texts(suite, 'prepare', where), *_texts(group, 'prepare', place))]
    own_values = {**values, **_values(group, 'values', place)}
    runs = []
    for fold, seed in _cells(group, suite, place):
        filled = {**own_values, 'fold': fold, 'seed': seed}
        given = [_fill(option, filled, place) for option in options]
        seeded = (*given, f'{prefix}randomness.seed={seed}')
        prepare = tuple(tuple(_fill(word, filled, place) for word in words) for words in commands)
        runs.append(SuiteRun(suite_name, name, config, fold, seed, seeded, tuple(chosen), prepare, data))
    return runs


def _name(name: Any, where: str) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(f'{where}: needs a name of letters, digits and . _ + - as text, found {name!r}')
    return name


def _texts(content: Mapping[str, Any], key: str, where: str) -> list[str]:
    texts = content.get(key)
    if texts is None:
        return []
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ConfigError(f'{where}: {key} must be a list of texts, found {texts!r}')
    return texts


def _values(content: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    values = content.get(key)
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f'{where}: {key} must be names and values, found {values!r}')
    taken = [name for name in OWN_VALUES if name in values]
    if taken:
        raise ConfigError(f'{where}: {key} holds {", ".join(taken)}, which each run has of its own')
    return values


def _words(command: str, where: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise ConfigError(f'{where}: prepare: {command!r} is no command: {error}') from error


@functools.cache
def _stages(config: Path, data: str | None) -> tuple[str, ...]:
    """List the names of a config's stages; empty for a config of one training."""
    return tuple(str(stage.get('name')) for stage in _descriptions(load_config(config, data=data)))


@functools.cache
def _settings(config: Path, data: str | None) -> str:
    content = load_config(config, data=data)
    data = data or named_in(config, content.get(DATA_KEY))
    stages = [stage for stage in _descriptions(content) if 'config' in stage]
    named = {(str(stage['config']), named_in(config, stage.get(DATA_KEY)) or data) for stage in stages}
    parts = sorted(named, key=str)
    read = [content, *(load_config(config.parent / name, data=stage_data) for name, stage_data in parts)]
    text = json.dumps([each._cfg_dict.to_dict() for each in read], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _descriptions(config: Config) -> list[dict[str, Any]]:
    stages = config.get('stages') or []
    if not isinstance(stages, list) or not all(isinstance(stage, dict) for stage in stages):
        raise ConfigError(f'{config.filename}: stages must be a list of dict(name=..., kind=..., config=...)')
    return stages


def _cells(group: dict[str, Any], suite: dict[str, Any], where: str) -> list[tuple[int | None, int]]:
    if 'cells' in group:
        cells = group['cells']
        pairs = isinstance(cells, list) and all(
            isinstance(cell, list) and len(cell) == 2 and all(type(n) is int for n in cell) for cell in cells
        )
        if not pairs or not cells:
            raise ConfigError(f'{where}: cells must be pairs of fold and seed, found {cells!r}')
        return [(fold, seed) for fold, seed in cells]
    seeds, folds = group.get('seeds', suite.get('seeds', [0])), group.get('folds', suite.get('folds')) or []
    for key, numbers in (('seeds', seeds), ('folds', folds)):
        if not isinstance(numbers, list) or not all(type(n) is int for n in numbers):
            raise ConfigError(f'{where}: {key} must be a list of whole numbers, found {numbers!r}')
    if not seeds:
        raise ConfigError(f'{where}: seeds must be a list of at least one whole number, found []')
    return [(fold, seed) for seed in seeds for fold in (folds or [None])]


def _fill(text: Any, values: Mapping[str, Any], where: str) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in values:
            known = ', '.join(sorted(values))
            raise ConfigError(f'{where}: {text!r} has the unknown placeholder {{{name}}}; known are {known}')
        if values[name] is None:
            hint = 'the group has no folds' if name == 'fold' else f'give --set {name}=VALUE'
            raise ConfigError(f'{where}: {text!r} needs {{{name}}}: {hint}')
        return str(values[name])

    return _PLACEHOLDER.sub(value, str(text))


def _one_config_each(runs: Sequence[SuiteRun], where: str) -> None:
    configs: dict[str, tuple[str, str | None, tuple[str, ...]]] = {}
    for run in runs:
        own = (run.config, run.data, run.cfg_options)
        if configs.setdefault(run.name, own) != own:
            raise ConfigError(
                f'{where}: {run.name} is there twice with different settings; give one of the groups another name '
                '(entries of one group may differ in their stages and cells alone)'
            )


def _read_yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ConfigError(f'suite {path} does not exist')
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f'suite {path} is no YAML: {" ".join(str(error).split())}') from error
    if not isinstance(content, dict):
        raise ConfigError(f'suite {path}: expected keys such as name and groups, found {type(content).__name__}')
    return content


def _known(content: Any, known: set[str], where: str) -> None:
    if not isinstance(content, dict):
        raise ConfigError(f'{where}: expected keys and values, found {content!r}')
    unknown = set(content) - known
    if unknown:
        raise ConfigError(f'{where}: unknown keys {", ".join(sorted(unknown))}; known are {", ".join(sorted(known))}')
