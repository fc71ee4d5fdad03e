"""Reads configs, applies overrides, and makes them ready for the runner."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from mitouts.engine.data_sets import DATA_KEY, NAME_KEY, read_config
from mitouts.engine.overrides import apply_overrides
from mitouts.errors import ConfigError, MitoutsError
from mitouts.registry import import_path, unknown_component
from mitouts.utils.config_files import find_config
from mitouts.zoo import zoo_models


def load_config(path: str | Path, cfg_options: Sequence[str] = (), data: str | None = None) -> Config:
    """Read a config file and apply ``key=value`` overrides.

    Args:
        path: Config file, or the name of a config; see :func:`mitouts.utils.config_files.find_config`.
        cfg_options: ``a.b.0.c=value``; the key must exist, ``+a.b=value`` adds one.
        data: The data set in the place of the config's own: a name, such as ``midog21``, or the path of a config of
            it; see :func:`mitouts.engine.data_sets.read_config`.

    Raises:
        ConfigError: The file is missing or cannot be read, the data set is unknown, an override names an unknown key,
            or a value is of a kind that its key does not take.
    """
    path = find_config(path)
    try:
        config = read_config(path, data)
    except ConfigError:
        raise
    except (
        SyntaxError,
        ImportError,
        NameError,
        LookupError,
        TypeError,
        AttributeError,
        ValueError,
        ArithmeticError,
        OSError,
    ) as error:
        raise ConfigError(f'config {path} cannot be read: {type(error).__name__}: {error}') from error
    if not config.get('stages'):
        # They have done their work; in a staged config the data set is for the configs of the stages.
        config.pop(DATA_KEY, None)
        config.pop(NAME_KEY, None)
    apply_overrides(config, cfg_options)
    if isinstance(start := config.get('load_from'), str) and start in zoo_models():
        config.load_from = str(zoo_models()[start])
    return config


@contextmanager
def explained(config: Config, part: str = '') -> Iterator[None]:
    """Turn the error of a component that rejects its arguments into an error of the config.

    Args:
        config: The config.
        part: Keys of what is built; empty for the whole.

    Raises:
        ConfigError: Whatever was raised instead of an error that says what to do.
        UnknownComponentError: A component is not registered, whichever registry was asked.
    """
    try:
        yield
    except (TypeError, ValueError, AssertionError, LookupError, AttributeError) as error:
        if isinstance(error, MitoutsError):
            raise
        unknown = unknown_component(error)
        if unknown is not None:
            raise unknown from error
        what = f'config {config.filename}' + (f': {part}' if part else '')
        raise ConfigError(f'{what} cannot be built: {type(error).__name__}: {error}') from error


def resolve(config: Config) -> Config:
    """Return a copy in which ``'max_epochs'`` in a parameter scheduler is replaced by the number of epochs."""
    resolved = Config(config._cfg_dict.to_dict(), filename=config.filename)
    schedulers = resolved.get('param_scheduler') or []
    for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
        for key, value in scheduler.items():
            if value == 'max_epochs':
                scheduler[key] = resolved.train_cfg.max_epochs
    return resolved


def read_settings(config: Config, key: str, kind: Any) -> Any:
    """Read a step's settings under a key of a config, as a NamedTuple; only its fields are allowed as keys.

    Raises:
        ConfigError: It says something else.
    """
    given = config.get(key) or {}
    unknown = set(given) - set(kind._fields) if isinstance(given, Mapping) else {repr(given)}
    if unknown:
        raise ConfigError(
            f'config {config.filename}: {key} has {", ".join(sorted(unknown))}; it may have {", ".join(kind._fields)}'
        )
    return kind(**given)


def without_classes(value: Any) -> Any:
    """Return a copy of (a part of) a config in which every class is named by its import path, as a file can hold it."""
    if isinstance(value, dict):
        return {key: without_classes(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(without_classes(item) for item in value)
    return import_path(value) if isinstance(value, type) else value


def config_to_json(config: Config) -> str:
    """Serialize a config to JSON, as checkpoints store it."""
    return json.dumps(without_classes(config._cfg_dict.to_dict()), default=str)


def enable_amp(config: Config) -> None:
    """Turn on mixed precision.

    Raises:
        ConfigError: There is no GPU.
    """
    if not torch.cuda.is_available():
        raise ConfigError('--amp needs a CUDA GPU and none is visible: leave it out to train in float32')
    config.optim_wrapper.type = 'AmpOptimWrapper'
    config.optim_wrapper.loss_scale = 'dynamic'
