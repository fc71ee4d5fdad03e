"""What a suite shall run: configs x seeds x folds, read from YAML, each in a folder of its own."""

from __future__ import annotations

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

from mitouts.engine.config import load_config
from mitouts.errors import ConfigError

SUITE_KEYS = {'name', 'seeds', 'folds', 'variables', 'prepare', 'cfg_options', 'groups'}
GROUP_KEYS = {'name', 'config', 'seeds', 'folds', 'cells', 'values', 'cfg_options', 'stages', 'prepare'}
RUN_FILE = 'run.json'
WRAPPER = 'experiment.py'
_PLACEHOLDER = re.compile(r'\{(\w+)\}')


@dataclass(frozen=True)
class SuiteRun:
    """One training (or staged experiment) of a suite.

    Attributes:
        suite: Name of the suite.
        group: Name of the group; entries with the same name add stages or cells to one group.
        config: The config's path.
        fold: The fold, or None.
        seed: The seed.
        cfg_options: Overrides, placeholders filled in, the seed's among them.
        stages: The stages that are run; empty for all.
        prepare: Commands that must have run before, each a list of words.
    """

    suite: str
    group: str
    config: str
    fold: int | None
    seed: int
    cfg_options: tuple[str, ...]
    stages: tuple[str, ...] = ()
    prepare: tuple[tuple[str, ...], ...] = ()

    @property
    def folder_name(self) -> str:
        """``fold{K}_seed{S}``, or ``seed{S}`` without folds."""
        return f'seed{self.seed}' if self.fold is None else f'fold{self.fold}_seed{self.seed}'

    @property
    def name(self) -> str:
        """Group and folder."""
        return f'{self.group}/{self.folder_name}'

    @property
    def entry(self) -> str:
        """Hash of what it runs: a run that was done with other settings is not done."""
        parts = [Path(self.config).read_text(encoding='utf-8'), *self.cfg_options, '--', *self.stages]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """For ``run.json``."""
        return {
            'suite': self.suite,
            'group': self.group,
            'config': self.config,
            'fold': self.fold,
            'seed': self.seed,
            'cfg_options': list(self.cfg_options),
        }


def read_suite_file(path: str | os.PathLike[str], variables: Mapping[str, str] | None = None) -> list[SuiteRun]:
    """Read a suite.

    The YAML holds ``name``, ``seeds``, ``folds`` (left out: no folds), ``cfg_options`` and ``prepare`` for all groups,
    ``variables`` (a null one must be given), and ``groups``: a list of ``name``, ``config`` and, where they differ,
    ``seeds``, ``folds``, ``cfg_options`` (added), ``prepare`` (added), ``stages`` (only these), ``values`` (variables
    of this group) and ``cells`` (pairs of fold and seed instead of all combinations). ``{fold}``, ``{seed}`` and the
    variables are filled in everywhere.

    Args:
        path: The YAML file; configs in it are relative to the working directory.
        variables: Values of its variables.

    Returns:
        The runs, in the order of the file.

    Raises:
        ConfigError: The file is broken, a key is unknown, a variable has no value, or a config does not exist.
    """
    content = _read_yaml(Path(path))
    _known(content, SUITE_KEYS, str(path))
    values = {**(content.get('variables') or {}), **(variables or {})}
    unknown = set(variables or {}) - set(content.get('variables') or {})
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
    name, config = group.get('name'), group.get('config')
    if not name or not config:
        raise ConfigError(f'{where}: a group needs a name and a config, found {group}')
    if not Path(config).is_file():
        raise ConfigError(f'{where}: group {name}: config {config} does not exist')
    staged = bool(load_config(config).get('stages'))
    if group.get('stages') and not staged:
        raise ConfigError(f'{where}: group {name}: {config} has no stages to choose from')
    # A config of one training runs as an experiment whose only stage is called "model".
    prefix = '*.' if staged else 'model.'
    options = [*suite.get('cfg_options', ()), *group.get('cfg_options', ())]
    commands = [*suite.get('prepare', ()), *group.get('prepare', ())]
    runs = []
    for fold, seed in _cells(group, suite, f'{where}: group {name}'):
        filled = {**values, **(group.get('values') or {}), 'fold': fold, 'seed': seed}
        given = [_fill(option, filled, where) for option in options]
        seeded = (*given, f'{prefix}randomness.seed={seed}')
        prepare = tuple(tuple(_fill(word, filled, where) for word in shlex.split(command)) for command in commands)
        chosen = tuple(group.get('stages', ()))
        runs.append(SuiteRun(suite.get('name', Path(where).stem), name, config, fold, seed, seeded, chosen, prepare))
    return runs


def _cells(group: dict[str, Any], suite: dict[str, Any], where: str) -> list[tuple[int | None, int]]:
    if 'cells' in group:
        cells = group['cells']
        if not all(isinstance(cell, list) and len(cell) == 2 and all(type(n) is int for n in cell) for cell in cells):
            raise ConfigError(f'{where}: cells must be pairs of fold and seed, found {cells!r}')
        return [(fold, seed) for fold, seed in cells]
    seeds, folds = group.get('seeds', suite.get('seeds', [0])), group.get('folds', suite.get('folds'))
    for key, numbers in (('seeds', seeds), ('folds', folds)):
        if numbers is not None and (not isinstance(numbers, list) or not all(type(n) is int for n in numbers)):
            raise ConfigError(f'{where}: {key} must be a list of whole numbers, found {numbers!r}')
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
    configs: dict[str, tuple[str, tuple[str, ...]]] = {}
    for run in runs:
        other = configs.setdefault(run.name, (run.config, run.cfg_options))
        if other != (run.config, run.cfg_options):
            raise ConfigError(
                f'{where}: {run.name} stands twice with different settings; give one of the groups another name '
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
