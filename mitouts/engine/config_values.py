"""Checks the values of a config against the components' signatures and the engine's own limits."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from mmengine.config import Config

from mitouts.errors import ConfigError
from mitouts.registry import find_component


class Limit(NamedTuple):
    """The type hint of a key of the engine, and the least value of a number."""

    kind: Any
    least: float = -math.inf


LIMITS = {
    **{f'{split}_dataloader.batch_size': Limit(int, 1) for split in ('train', 'val', 'test')},
    **{f'{split}_dataloader.num_workers': Limit(int, 0) for split in ('train', 'val', 'test')},
    'train_cfg.max_epochs': Limit(int, 1),
    'train_cfg.val_interval': Limit(int, 1),
    'train_cfg.val_begin': Limit(int, 0),
    'optim_wrapper.optimizer.lr': Limit(float, 0),
    'optim_wrapper.optimizer.weight_decay': Limit(float, 0),
    'optim_wrapper.accumulative_counts': Limit(int, 1),
    'optim_wrapper.clip_grad': Limit(dict | None),
    'optim_wrapper.clip_grad.max_norm': Limit(float, 0),
    'optim_wrapper.clip_grad.norm_type': Limit(float, 0),
    'optim_wrapper.clip_grad.clip_value': Limit(float, 0),
    'default_hooks.logger.interval': Limit(int, 1),
    'randomness.seed': Limit(int | None, 0),
    'load_from': Limit(str | None),
    'compile': Limit(bool | dict),
}
SCHEDULER_LIMITS = {
    **{key: Limit(int, 1) for key in ('T_max', 'step_size')},
    # It is divided by.
    'start_factor': Limit(float, 1e-12),
}
LOOPS = {
    'train_cfg.type': ('EpochBasedTrainLoop', 'IterBasedTrainLoop'),
    'val_cfg.type': ('ValLoop',),
    'test_cfg.type': ('TestLoop',),
}
CLIP_GRAD_KEYS = ('type', 'max_norm', 'norm_type', 'error_if_nonfinite', 'foreach', 'clip_value')
PLACEHOLDER = 'max_epochs'
"""Replaced by the number of epochs in a parameter scheduler."""
WORDS = {
    int: 'a whole number',
    float: 'a number',
    bool: 'true or false',
    str: 'text',
    NoneType: 'None',
    dict: 'dict(...)',
}
_MISSING = object()


def parameters_of(node: Any) -> dict[str, Any]:
    """Return the arguments of the component at a node of a config, each with its type hint or :data:`Any`.

    Args:
        node: Dict of a config; where it names no component that is known, there are none.
    """
    named = node.get('type') if isinstance(node, Mapping) else None
    component = find_component(named) if isinstance(named, str) else named if isinstance(named, type) else None
    return {} if component is None else _parameters(component)


@functools.cache
def _parameters(component: Any) -> dict[str, Any]:
    kinds: dict[str, Any] = {}
    classes = component.__mro__ if isinstance(component, type) else ()
    for function in [each.__dict__['__init__'] for each in classes if '__init__' in each.__dict__] or [component]:
        try:
            parameters = inspect.signature(function).parameters.values()
            hints = get_type_hints(function)
        except (TypeError, ValueError, NameError, AttributeError):
            break
        named = [each for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
        for each in named:
            kind = hints.get(each.name, Any)
            # Some hints are wrong, which their defaults show.
            is_right = each.default is each.empty or fits(each.default, kind)
            kinds.setdefault(each.name, kind if is_right else kind | None if each.default is None else Any)
        if not any(each.kind is each.VAR_KEYWORD for each in parameters):
            break
    kinds.pop('self', None)
    return kinds


def check_value(key: str, value: Any, old: Any, kind: Any) -> None:
    """Check that a value is of a kind that its key accepts.

    Args:
        key: The whole key.
        value: The new value.
        old: The old value; None if there was none.
        kind: Type hint of the component's argument of that name; :data:`Any` where nothing is known.

    Raises:
        ConfigError: It is not; the message says what was expected. Arguments of a component in the value are checked,
            too.
    """
    if value == PLACEHOLDER and key.startswith('param_scheduler'):
        return
    if key.endswith('.type'):
        kind = str
    if kind is not Any and not _is_foreign(kind):
        if not fits(value, kind):
            raise ConfigError(f'{key}={value!r}: expected {in_words(kind)}')
    elif old is not None and not _is_like(value, old):
        raise ConfigError(f'{key}={value!r}: expected {_like_in_words(old)}, as it was ({_short(old)})')
    _check_component(key, value)


def check_limits(config: Any) -> None:
    """Check the keys that the engine needs, before anything is built.

    Raises:
        ConfigError: A value is of another kind, or too small.
    """
    for key, limit in LIMITS.items():
        value = _look_up(config, key.split('.'))
        if value is not _MISSING:
            _check_limit(key, value, limit)
    schedulers = _look_up(config, ['param_scheduler'])
    for number, scheduler in enumerate(schedulers if isinstance(schedulers, list) else ()):
        for name in SCHEDULER_LIMITS.keys() & (scheduler if isinstance(scheduler, Mapping) else {}):
            if scheduler[name] not in (None, PLACEHOLDER):
                _check_limit(f'param_scheduler.{number}.{name}', scheduler[name], SCHEDULER_LIMITS[name])
    _check_clip_grad(_look_up(config, ['optim_wrapper', 'clip_grad']))
    _check_loops(config)


def _check_loops(config: Any) -> None:
    """Refuse a loop of the engine under the key of another, and a sampler that never ends an epoch."""
    for key, loops in LOOPS.items():
        named = _look_up(config, key.split('.'))
        if named not in loops and named in sum(LOOPS.values(), ()):
            raise ConfigError(f'{key}={named!r}: expected {" or ".join(map(repr, loops))}')
    for split in ('train', 'val', 'test'):
        is_endless = _look_up(config, [f'{split}_dataloader', 'sampler', 'type']) == 'InfiniteSampler'
        if is_endless and (split != 'train' or _look_up(config, ['train_cfg', 'type']) == 'EpochBasedTrainLoop'):
            raise ConfigError(
                f"{split}_dataloader.sampler.type='InfiniteSampler': it never comes to the end of an epoch; take "
                'DefaultSampler'
            )


def _check_limit(key: str, value: Any, limit: Limit) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not fits(value, limit.kind) or (is_number and not limit.least <= value < math.inf):
        least = f' from {limit.least:g}' if limit.least > -math.inf else ''
        raise ConfigError(f'{key}={value!r}: expected {in_words(limit.kind)}{least}')


def _check_clip_grad(options: Any) -> None:
    unknown = sorted({*options} - {*CLIP_GRAD_KEYS}) if isinstance(options, Mapping) else []
    if unknown:
        raise ConfigError(f'optim_wrapper.clip_grad.{unknown[0]}: expected one of {", ".join(CLIP_GRAD_KEYS)}')


def fits(value: Any, kind: Any) -> bool:
    """Whether a config's value suits a type hint; a hint that is not a plain class accepts anything."""
    if get_origin(kind) in (Union, UnionType):
        kinds = get_args(kind)
        # Beside plain types, a class means a component, which is a dict in a config.
        return any(isinstance(value, (dict, list)) if _is_foreign(each) else fits(value, each) for each in kinds)
    if get_origin(kind) is Literal:
        return any(type(value) is type(each) and value == each for each in get_args(kind))
    if kind in (None, NoneType):
        return value is None
    if kind is bool:
        return isinstance(value, bool) or (isinstance(value, int) and value in (0, 1))
    if kind in (int, float):
        return isinstance(value, (int, kind)) and not isinstance(value, bool)
    if kind is str or _is_class(kind, PurePath):
        return isinstance(value, str)
    if _is_class(kind, Mapping):
        return isinstance(value, dict)
    if _is_list(kind):
        return isinstance(value, (list, tuple)) and _elements_fit(value, kind)
    return True


def in_words(kind: Any) -> str:
    """Describe a type hint in words that a user knows."""
    if get_origin(kind) in (Union, UnionType):
        plain = [each for each in get_args(kind) if not _is_foreign(each)]
        shown = plain if {*plain} - {NoneType} else get_args(kind)
        return ' or '.join(dict.fromkeys(in_words(each) for each in shown))
    if get_origin(kind) is Literal:
        return ' or '.join(repr(each) for each in get_args(kind))
    if _is_list(kind):
        inner = [each for each in get_args(kind) if each is not Ellipsis]
        return 'a list' + (f' with {in_words(inner[0])} in each place' if inner else '')
    base = (
        NoneType if kind is None else dict if _is_class(kind, Mapping) else str if _is_class(kind, PurePath) else kind
    )
    return WORDS.get(base, 'dict(type=...)')


def _elements_fit(value: Sequence[Any], kind: Any) -> bool:
    inner = get_args(kind)
    if not inner:
        return True
    if get_origin(kind) is tuple and Ellipsis not in inner:
        return len(value) == len(inner) and all(map(fits, value, inner))
    return all(fits(each, inner[0]) for each in value)


def _is_class(kind: Any, base: type) -> bool:
    origin = get_origin(kind) or kind
    return isinstance(origin, type) and issubclass(origin, base)


def _is_list(kind: Any) -> bool:
    return (_is_class(kind, Sequence) or (get_origin(kind) or kind) in (set, Iterable)) and not _is_class(kind, str)


def _is_foreign(kind: Any) -> bool:
    plain = (int, float, bool, str, NoneType, None)
    return not (
        kind in plain or get_origin(kind) or _is_class(kind, Mapping) or _is_class(kind, PurePath) or _is_list(kind)
    )


def _is_like(value: Any, old: Any) -> bool:
    """Whether a value is of the same kind as the old one; None may replace anything, and a number may replace text."""
    if value is None or isinstance(old, str):
        return value is None or not isinstance(value, (dict, list))
    if isinstance(old, (list, tuple)):
        of_numbers = all(_is_number(each) for each in old)
        return isinstance(value, (list, tuple)) or (of_numbers and _is_number(value))
    if isinstance(old, dict):
        return isinstance(value, dict)
    return fits(value, bool) if isinstance(old, bool) else _is_number(value) or not _is_number(old)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _like_in_words(old: Any) -> str:
    kinds = {bool: bool, int: float, float: float, str: str, list: list, tuple: list}
    return in_words(next((kinds[kind] for kind in kinds if isinstance(old, kind)), dict))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'


def _check_component(key: str, value: Any) -> None:
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, (dict, list, tuple)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
    takes = parameters_of(value)
    for name, item in items:
        check_value(f'{key}.{name}', item, None, takes.get(name, Any))


def _look_up(node: Any, parts: list[str]) -> Any:
    for part in parts:
        if not isinstance(node, (Mapping, Config)):
            return _MISSING
        if part not in node:
            return _MISSING
        node = node[part]
    return node
