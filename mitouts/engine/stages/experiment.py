"""Reads staged configs: the stages of an experiment and their overrides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mitouts.engine.config import load_config
from mitouts.engine.data_sets import DATA_KEY, named_in
from mitouts.engine.overrides import apply_overrides
from mitouts.engine.stages.base import Experiment, Stage, known_kinds, settings_of
from mitouts.errors import ConfigError
from mitouts.utils.config_files import find_base, find_config

DESCRIPTION_KEYS = ('name', 'kind', 'config', 'options', DATA_KEY)
"""Keys that the description of any stage may have; further ones depend on its kind."""


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
            this file, or ``mitouts::NAME`` for one of the package, ``options`` a list of ``key=value`` overrides of it,
            and ``data`` the data set in the place of its own. ``data = ...`` beside ``stages`` is that of all stages
            that name none.
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
        stage_path = find_base(description['config'], path.parent)
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
    """Build a stage from its description and its config.

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
    """Check that every stage comes after those whose files it needs.

    Raises:
        ConfigError: It does not, or two stages have one name.
    """
    seen: dict[str, Stage] = {}
    for stage in stages:
        stage.check(seen)
        if stage.name in seen:
            raise ConfigError(f'two stages are called {stage.name!r}')
        seen[stage.name] = stage
