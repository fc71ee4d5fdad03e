"""Reads overrides of a config from the command line, checks them, and sets them."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.config import Config, ConfigDict

from mitouts.engine.config_values import check_limits, check_value, parameters_of
from mitouts.errors import ConfigError

WORDS = {'true': True, 'false': False, 'none': None}
OPENINGS = ('dict(', '{', '[', '(')
MAX_HINTS = 3
OWN_OPTIONS = {
    'data': '--data NAME',
    'custom_imports': '--import PACKAGE',
    'resume': '--resume',
    'work_dir': '--work-dir DIR',
    'launcher': '--launcher NAME',
}
"""Keys that are settled before overrides are read, or after; an override would have no effect."""


def apply_overrides(config: Config | ConfigDict, cfg_options: Sequence[str]) -> None:
    """Apply ``key=value`` overrides in place, and check the values of the whole config.

    Args:
        config: Changed.
        cfg_options: ``a.b.0.c=value``; the key must exist, or be an argument that the component at ``a.b.0`` takes.
            ``+a.b=value`` adds one.

    Raises:
        ConfigError: A key is unknown, or its value is of a kind that it does not take.
    """
    for option in cfg_options:
        key, separator, text = option.partition('=')
        if not separator or not all(key.removeprefix('+').split('.')):
            raise ConfigError(f'--cfg-options takes key=value, found {option!r}')
        if (first := key.removeprefix('+').split('.')[0]) in OWN_OPTIONS:
            raise ConfigError(f'{option}: an override of {first} has no effect; give {OWN_OPTIONS[first]} instead')
        set_key(config, key.removeprefix('+'), parse_value(text), add=key.startswith('+'))
    check_limits(config)


def parse_value(text: str) -> Any:
    """Parse a Python literal or ``dict(...)`` of literals; anything else is returned as the string itself.

    The bare words true, false and none are recognized in any case. No code is evaluated.
    """
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    try:
        return ast.literal_eval(_Literals().visit(ast.parse(text.strip(), mode='eval')))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


class _Literals(ast.NodeTransformer):
    """Replaces ``dict(a=1)`` by ``{'a': 1}``, and bare words by the values they stand for, also inside other values."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        names = [keyword.arg for keyword in node.keywords]
        if not isinstance(node.func, ast.Name) or node.func.id != 'dict' or node.args or None in names:
            return node
        keys: list[ast.expr | None] = [ast.Constant(name) for name in names]
        return ast.copy_location(ast.Dict(keys, [keyword.value for keyword in node.keywords]), node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        word = node.id.lower()
        return ast.copy_location(ast.Constant(WORDS[word]), node) if word in WORDS else node


def set_key(config: Any, key: str, value: Any, *, add: bool = False) -> None:
    """Set a dotted key; list elements go by index.

    Raises:
        ConfigError: The key is not there (and ``add`` is False); the nearest one is named. Or the value is of another
            kind than the key takes.
    """
    parts = key.split('.')
    node: Any = config
    for depth, part in enumerate(parts[:-1]):
        if add and isinstance(node, (dict, Config)) and part not in node:
            node[part] = ConfigDict()
        node = _child(config, node, parts, depth)
    last = parts[-1]
    if isinstance(node, list):
        old = _child(config, node, parts, len(parts) - 1)
        _check(key, value, old, Any)
        node[int(last)] = _as_node(value)
    elif isinstance(node, (dict, Config)):
        takes = parameters_of(node)
        if not add and last not in takes:
            _child(config, node, parts, len(parts) - 1)
        _check(key, value, node.get(last), takes.get(last, Any))
        node[last] = _as_node(value)
    else:
        raise ConfigError(f'{".".join(parts[:-1])} is {node!r}, which has no key {last!r}')


def _check(key: str, value: Any, old: Any, kind: Any) -> None:
    if isinstance(value, str) and not isinstance(old, str) and value.lstrip().startswith(OPENINGS):
        raise ConfigError(
            f'{key}={value}: cannot be read; expected a Python literal or dict(...) of such, with text in quotes, and '
            'quotes around the whole for the shell'
        )
    check_value(key, value, old, kind)


def _as_node(value: Any) -> Any:
    """Convert a value to the types of configs; ``_delete_`` is dropped, since the value replaces the old one anyway."""
    if isinstance(value, dict):
        return ConfigDict({key: _as_node(item) for key, item in value.items() if key != '_delete_'})
    return [_as_node(item) for item in value] if isinstance(value, list) else value


def _child(config: Any, node: Any, parts: list[str], depth: int) -> Any:
    part, here = parts[depth], '.'.join(parts[: depth + 1])
    if isinstance(node, list):
        if part.lstrip('-').isdigit() and -len(node) <= int(part) < len(node):
            return node[int(part)]
        raise ConfigError(f'{here}: expected an index from 0 to {len(node) - 1}, found {part!r}')
    if not isinstance(node, (dict, Config)):
        raise ConfigError(f'{here}: {".".join(parts[:depth])} is {node!r}, which has no keys')
    if part in node:
        return node[part]
    whole = '.'.join(parts)
    near = ' or '.join(repr(key) for key in nearest_keys(config, whole)) or 'none'
    raise ConfigError(f'unknown config key {whole!r}; the nearest is {near}. Write +{whole}=... to add a new key')


def nearest_keys(config: Any, key: str) -> list[str]:
    """Return the keys of a config that may have been meant: those that end in ``key``, else the most similar one."""
    known = list(_keys(config))
    ending = [each for each in known if each.endswith(f'.{key}')]
    return ending[:MAX_HINTS] or difflib.get_close_matches(key, known, n=1, cutoff=0.0)


def _keys(node: Any, prefix: str = '') -> Iterator[str]:
    items = node.items() if isinstance(node, (dict, Config)) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield f'{prefix}{key}'
        yield from _keys(value, f'{prefix}{key}.')
    if isinstance(node, dict):
        yield from (f'{prefix}{name}' for name in parameters_of(node) if name not in node)
