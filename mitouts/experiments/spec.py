"""Reads the YAML file that lists the tables of a page, so that one command makes all of them."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import yaml

from mitouts.errors import ConfigError, MitoutsError
from mitouts.experiments.baselines import BaselineRow, Baselines, baselines_table, score_baselines
from mitouts.experiments.blocks import (
    comparison_table,
    distillation_table,
    literature_table,
    methods_table,
    review_table,
)
from mitouts.experiments.cases import CaseCounter
from mitouts.experiments.compare import Comparison
from mitouts.experiments.costs import Costs, read_costs
from mitouts.experiments.methods import ScoreSettings
from mitouts.experiments.rows import TableRow, parse_row
from mitouts.experiments.suite_results import Suite
from mitouts.experiments.tables import ResultTable
from mitouts.utils.defaults import PROTOCOLS

_SETTINGS = tuple(each.name for each in fields(ScoreSettings))
_BLOCK_KEYS = {
    'methods': ('rows', 'groups'),
    'compare': ('comparisons', 'groups'),
    'distillation': ('rows', 'groups'),
    'review': ('rows', 'groups'),
    'baselines': ('rows', 'groups', 'costs', 'folds', 'seeds'),
    'literature': ('columns', 'entries', 'source'),
}
_OPTIONAL = ('groups', 'costs', 'folds', 'seeds')
_GROUP = '{group}'


@dataclass(frozen=True)
class TableBlock:
    """One table of a page.

    Attributes:
        name: Name in its markers.
        kind: ``methods``, ``compare``, ``distillation``, ``review``, ``baselines`` or ``literature``.
        title: Above it; may be empty.
        settings: Settings for scoring predictions.
        rows: Lines of ``methods``, ``distillation`` and ``review``.
        comparisons: Lines of ``compare``.
        baselines: Lines of ``baselines``, and what else it says.
        published: ``columns``, ``entries`` and ``source`` of ``literature``.
    """

    name: str
    kind: str
    title: str = ''
    settings: ScoreSettings = field(default_factory=ScoreSettings)
    rows: tuple[TableRow, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    baselines: Baselines = field(default_factory=Baselines)
    published: Mapping[str, Any] = field(default_factory=dict)

    def table(self, suite: Suite, counter: CaseCounter, *, partial: bool = False) -> ResultTable:
        """Make the table; ``partial`` lets groups and stages be missing."""
        more: dict[str, Any] = {'title': self.title, 'partial': partial}
        if self.kind == 'literature':
            return literature_table(**self.published, title=self.title)
        if self.kind in ('distillation', 'review'):
            return (distillation_table if self.kind == 'distillation' else review_table)(suite, self.rows, **more)
        if self.kind == 'baselines':
            costs = self.measured(partial=partial)
            scores = score_baselines(suite, counter, self.baselines, costs, self.settings, partial=partial)
            return baselines_table(scores, costs, self.settings, title=self.title)
        if self.kind == 'compare':
            return comparison_table(suite, counter, self.comparisons, self.settings, **more)
        return methods_table(suite, counter, self.rows, self.settings, **more)

    def measured(self, *, partial: bool = False) -> Costs:
        """Read the costs of ``baselines``; none if it names no file, or with ``partial`` if the file does not exist.

        Raises:
            MitoutsError: The file is missing or broken.
        """
        path = self.baselines.costs
        return Costs() if path is None or (partial and not Path(path).is_file()) else read_costs(path)


@dataclass(frozen=True)
class Spec:
    """A page's tables, and the suites that they are made from (paths relative to the working directory)."""

    suites: tuple[str, ...]
    blocks: tuple[TableBlock, ...]


def suite_folders(given: Sequence[str], spec: Spec | None) -> Sequence[str]:
    """Return the suites given on the command line, or else those of a spec.

    Raises:
        ConfigError: There is neither.
    """
    folders = given or (spec.suites if spec else ())
    if not folders:
        raise ConfigError('no suite given: name its folder, or list it under suites in the spec file')
    return folders


def read_spec(path: str | os.PathLike[str]) -> Spec:
    """Read and check a spec file; see ``docs/analysis.md`` for what it holds.

    Raises:
        ConfigError: It is no YAML, or says something that makes no sense; the message names the block.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except FileNotFoundError as error:
        raise ConfigError(f'{path}: no such file') from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f'{path}: not YAML ({" ".join(str(error).split())})') from error
    if not isinstance(content, dict) or not isinstance(content.get('blocks'), list):
        raise ConfigError(f"{path}: expected a mapping with 'blocks', a list of tables")
    _check_keys(path, 'the file', content, ('suites', 'blocks', *_SETTINGS))
    settings = _settings(path, 'the file', content, ScoreSettings())
    blocks = tuple(_block(path, position, entry, settings) for position, entry in enumerate(content['blocks'], 1))
    names = [block.name for block in blocks]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ConfigError(f'{path}: two blocks are called {repeated[0]!r}')
    return Spec(tuple(map(str, content.get('suites') or ())), blocks)


def _block(path: Path, position: int, entry: Any, settings: ScoreSettings) -> TableBlock:
    where = f'block {position}'
    if not isinstance(entry, dict) or not entry.get('name') or entry.get('kind') not in _BLOCK_KEYS:
        raise ConfigError(f'{path}: {where} needs a name and a kind out of {", ".join(_BLOCK_KEYS)}; found {entry!r}')
    kind, where = entry['kind'], f'block {entry["name"]!r}'
    own = _BLOCK_KEYS[kind]
    # Baselines are shown under both protocols.
    settings_keys = [key for key in _SETTINGS if not (kind == 'baselines' and key == 'protocol')]
    _check_keys(path, where, entry, ('name', 'kind', 'title', *own, *settings_keys))
    missing = [key for key in own if key not in _OPTIONAL and not entry.get(key)]
    if missing:
        raise ConfigError(f'{path}: {where} ({kind}) lacks {", ".join(missing)}')
    parts: dict[str, Any] = {'title': str(entry.get('title', ''))}
    parts['settings'] = _settings(path, where, entry, settings)
    try:
        if kind == 'literature':
            parts['published'] = _published(entry)
        elif kind == 'compare':
            parts['comparisons'] = tuple(_crossed(_comparison, entry['comparisons'], entry.get('groups')))
        elif kind == 'baselines':
            parts['baselines'] = _baselines(entry)
        else:
            parts['rows'] = tuple(_crossed(_row, entry['rows'], entry.get('groups')))
    except MitoutsError as error:
        raise ConfigError(f'{path}: {where}: {error}') from error
    return TableBlock(str(entry['name']), kind, **parts)


def _crossed(read: Any, entries: Any, groups: Any) -> list[Any]:
    """Read every entry; if there are groups, every entry for each group, with the group's label first."""
    if not isinstance(entries, list):
        raise ConfigError(f'expected a list of lines, found {entries!r}')
    if not groups:
        return [read(entry) for entry in entries]
    named = groups if isinstance(groups, dict) else {group: group for group in groups}
    return [read(entry, str(group), str(label)) for group, label in named.items() for entry in entries]


def _row(entry: Any, group: str = '', group_label: str = '') -> TableRow:
    """Parse ``group/stage=Label`` or ``{row, label, minutes}``; within a group ``stage=Label``."""
    described = {'row': entry} if isinstance(entry, str) else entry
    if not isinstance(described, dict) or not isinstance(described.get('row'), str):
        raise ConfigError(f'a line is GROUP/STAGE=Label or has row, label and minutes; found {entry!r}')
    _refuse_others(described, ('row', 'label', 'minutes'), entry)
    text = described['row'] + (f'={described["label"]}' if described.get('label') else '')
    if group:
        stage, _, label = text.partition('=')
        text = f'{group}/{stage}={group_label}, {label or stage}'
    return replace(parse_row(text), costs=tuple(described.get('minutes') or ()))


def _baselines(entry: Mapping[str, Any]) -> Baselines:
    rows = tuple(_crossed(_baseline_row, entry['rows'], entry.get('groups')))
    chosen: dict[str, tuple[int, ...]] = {}
    for key in ('folds', 'seeds'):
        numbers = entry.get(key)
        if numbers is None:
            continue
        if not isinstance(numbers, list) or not numbers or not all(type(number) is int for number in numbers):
            raise ConfigError(f'{key} must be a list of whole numbers, found {numbers!r}')
        chosen[key] = tuple(numbers)
    return Baselines(rows, str(entry['costs']) if entry.get('costs') else None, **chosen)


def _baseline_row(entry: Any, group: str = '', group_label: str = '') -> BaselineRow:
    """Parse ``{row, label, supervision, minutes}``; within a group ``row`` is a stage, or contains ``{group}``."""
    if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ('row', 'supervision')):
        raise ConfigError(f'a line has row and supervision, and perhaps label and minutes; found {entry!r}')
    described = {key: value for key, value in entry.items() if key != 'supervision'}
    method = str(entry.get('label') or entry['row'])
    if _GROUP in entry['row']:
        if not group:
            raise ConfigError(f'{entry!r} holds {_GROUP}, but the block has no groups')
        label = f'{group_label}, {method}'
        row = _row({**described, 'row': entry['row'].replace(_GROUP, group), 'label': label})
    else:
        row = _row(described, group, group_label)
    return BaselineRow(row, method, group_label, entry['supervision'])


def _comparison(entry: Any, group: str = '', group_label: str = '') -> Comparison:
    """Parse ``{a, b, oracle, label}``: stages of a group, or ``group/stage``."""
    if not isinstance(entry, dict) or not all(isinstance(entry.get(side), str) for side in 'ab'):
        raise ConfigError(f'a comparison has a, b and perhaps oracle and label; found {entry!r}')
    _refuse_others(entry, ('a', 'b', 'oracle', 'label'), entry)
    prefix = f'{group}/' if group else ''
    a, b = (parse_row(prefix + entry[side]) for side in 'ab')
    oracle = parse_row(prefix + entry['oracle']) if entry.get('oracle') else None
    label = entry.get('label') or (f'{a.stage} against {b.stage}' if group else f'{a.label} against {b.label}')
    return Comparison(a, b, f'{group_label}, {label}' if group else label, oracle)


def _published(entry: Mapping[str, Any]) -> dict[str, Any]:
    columns, entries = entry['columns'], entry['entries']
    if not all(isinstance(line, list) and len(line) == len(columns) for line in entries):
        raise ConfigError(f'every line of entries needs {len(columns)} cells, as there are columns')
    return {'columns': columns, 'entries': entries, 'source': str(entry['source'])}


def _settings(path: Path, where: str, entry: Mapping[str, Any], defaults: ScoreSettings) -> ScoreSettings:
    given = {name: entry[name] for name in _SETTINGS if name in entry}
    for name, value in given.items():
        if name == 'protocol':
            if value not in PROTOCOLS:
                raise ConfigError(f'{path}: {where}: protocol is one of {", ".join(PROTOCOLS)}, found {value!r}')
        elif isinstance(value, bool) or not isinstance(value, (int, float)) or (value <= 0 and name != 'seed'):
            raise ConfigError(f'{path}: {where}: {name} must be a positive number, found {value!r}')
    return replace(defaults, **given)


def _refuse_others(described: Mapping[str, Any], known: Sequence[str], entry: Any) -> None:
    unknown = [key for key in described if key not in known]
    if unknown:
        raise ConfigError(f'unknown key {unknown[0]!r} in {entry!r}; known are {", ".join(known)}')


def _check_keys(path: Path, where: str, entry: Mapping[str, Any], known: Sequence[str]) -> None:
    for key in entry:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            hint = f'; the nearest is {near[0]!r}' if near else ''
            raise ConfigError(f'{path}: {where} has the unknown key {key!r}{hint}; known are {", ".join(known)}')
