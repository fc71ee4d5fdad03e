"""Configs: read, overridden from the command line, and made ready for the runner."""

from __future__ import annotations

import ast
import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict

from mitouts.errors import ConfigError
from mitouts.registry import import_path


def load_config(path: str | Path, cfg_options: Sequence[str] = ()) -> Config:
    """Read a config file and apply ``key=value`` overrides.

    Args:
        path: Config file.
        cfg_options: ``a.b.0.c=value``; the key must exist, ``+a.b=value`` adds one.

    Raises:
        ConfigError: The file is missing or cannot be read, or an override names an unknown key.
    """
    path = Path(path)
    if not path.is_file():
        near = difflib.get_close_matches(path.name, [entry.name for entry in path.parent.glob('*.py')], n=3)
        hint = f'; did you mean {", ".join(near)}?' if near else ''
        raise ConfigError(f'config {path} does not exist{hint}')
    try:
        config = Config.fromfile(path)
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
    apply_overrides(config, cfg_options)
    return config


def apply_overrides(config: Config | ConfigDict, cfg_options: Sequence[str]) -> None:
    """Apply ``key=value`` overrides in place; see :func:`load_config`."""
    for option in cfg_options:
        key, separator, text = option.partition('=')
        if not separator:
            raise ConfigError(f'--cfg-options takes key=value, found {option!r}')
        set_key(config, key.removeprefix('+'), parse_value(text), add=key.startswith('+'))


def parse_value(text: str) -> Any:
    """A Python literal where it is one, the bare words true, false and none, otherwise the string itself."""
    words = {'true': True, 'false': False, 'none': None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def set_key(config: Any, key: str, value: Any, *, add: bool = False) -> None:
    """Set a dotted key; list elements go by index.

    Raises:
        ConfigError: The key is not there (and ``add`` is False); the nearest one is named.
    """
    parts = key.split('.')
    node: Any = config
    for depth, part in enumerate(parts[:-1]):
        if add and isinstance(node, (dict, Config)) and part not in node:
            node[part] = ConfigDict()
        node = _child(node, parts, depth)
    last = parts[-1]
    if isinstance(node, list):
        _child(node, parts, len(parts) - 1)
        node[int(last)] = value
    elif isinstance(node, (dict, Config)):
        if not add:
            _child(node, parts, len(parts) - 1)
        node[last] = ConfigDict(value) if isinstance(value, dict) else value
    else:
        raise ConfigError(f'{".".join(parts[:-1])} is {node!r}, which has no key {last!r}')


def _child(node: Any, parts: list[str], depth: int) -> Any:
    part, here = parts[depth], '.'.join(parts[: depth + 1])
    if isinstance(node, list):
        if part.lstrip('-').isdigit() and -len(node) <= int(part) < len(node):
            return node[int(part)]
        raise ConfigError(f'{here}: expected an index from 0 to {len(node) - 1}, found {part!r}')
    if not isinstance(node, (dict, Config)):
        raise ConfigError(f'{here}: {".".join(parts[:depth])} is {node!r}, which has no keys')
    if part in node:
        return node[part]
    known = [str(name) for name in node]
    near = difflib.get_close_matches(part, known, n=1, cutoff=0.0)
    prefix = '.'.join(parts[:depth])
    nearest = f'{prefix}.{near[0]}' if prefix and near else (near[0] if near else 'none')
    raise ConfigError(
        f'unknown config key {here!r}; the nearest is {nearest!r}. Write +{".".join(parts)}=... to add a new key'
    )


def resolve(config: Config) -> Config:
    """A copy in which ``'max_epochs'`` in a parameter scheduler stands for the number of epochs."""
    resolved = Config(config._cfg_dict.to_dict(), filename=config.filename)
    schedulers = resolved.get('param_scheduler') or []
    for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
        for key, value in scheduler.items():
            if value == 'max_epochs':
                scheduler[key] = resolved.train_cfg.max_epochs
    return resolved


def without_classes(value: Any) -> Any:
    """A copy of (a part of) a config in which every class is named by its import path, as a file can hold it."""
    if isinstance(value, dict):
        return {key: without_classes(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(without_classes(item) for item in value)
    return import_path(value) if isinstance(value, type) else value


def config_to_json(config: Config) -> str:
    """A config as checkpoints keep it."""
    return json.dumps(without_classes(config._cfg_dict.to_dict()), default=str)


def enable_amp(config: Config) -> None:
    """Switch mixed precision on.

    Raises:
        ConfigError: There is no GPU.
    """
    if not torch.cuda.is_available():
        raise ConfigError('--amp needs a CUDA GPU and none is visible: leave it out to train in float32')
    config.optim_wrapper.type = 'AmpOptimWrapper'
    config.optim_wrapper.loss_scale = 'dynamic'
