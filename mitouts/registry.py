"""Registries of everything that a config can name, under the scope ``mitouts``.

Each one imports the package's modules itself the first time a name is looked up (``locations``), so a config never
has to import anything of ours. An unknown name raises :class:`UnknownComponentError`.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine import registry as roots

SCOPE = 'mitouts'


class UnknownComponentError(KeyError):
    """A config names a component that no registry knows.

    Args:
        name: The unknown name.
        registry_name: The registry that was searched, as ``scope::name``.
        known: Every name that it and its parents hold.
    """

    def __init__(self, name: str, registry_name: str, known: Sequence[str]) -> None:
        super().__init__(name)
        self.name = name
        self.registry_name = registry_name
        self.nearest = difflib.get_close_matches(name.rsplit('.', 1)[-1], known, n=3, cutoff=0.4)
        self.known = sorted(known)
        self.config_keys: list[str] = []

    def locate(self, cfg: Any) -> None:
        """Find the config keys under which the name stands; the outermost caller has the full path."""
        self.config_keys = [path for path, value in _walk(cfg) if path.endswith('type') and value == self.name]

    def __str__(self) -> str:
        where = f' (config key {", ".join(repr(key) for key in self.config_keys)})' if self.config_keys else ''
        if self.nearest:
            hint = f'Did you mean {" or ".join(repr(name) for name in self.nearest)}?'
        else:
            hint = f'It knows: {", ".join(self.known) or "nothing"}.'
        return (
            f'{self.name!r} is not in the {self.registry_name} registry{where}. {hint} '
            "A component of your own must be imported first: custom_imports = dict(imports=['your.module'])."
        )


def _walk(node: Any, path: str = '') -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _walk(value, f'{path}.{key}' if path else str(key))
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            yield from _walk(value, f'{path}.{index}' if path else str(index))
    else:
        yield path, node


class Registry(roots.Registry):
    """mmengine's registry, with errors that tell where to look."""

    def get(self, key: str) -> Any:
        found = self._find(key)
        if found is None:
            raise UnknownComponentError(key, f'{self.scope}::{self.name}', self._known_names())
        return found

    def class_of(self, cfg: Any) -> Any:
        """The class that a config stands for, however it names it.

        Args:
            cfg: A dict whose ``type`` is a name, one with a scope (``mitouts.EMATeacherHook``), an import path or the
                class itself; or an object that is built already.

        Returns:
            The class; ``type(None)`` for a dict without ``type``.

        Raises:
            UnknownComponentError: No component has that name.
        """
        kind = cfg.get('type') if isinstance(cfg, Mapping) else cfg
        if isinstance(kind, str):
            with self.switch_scope_and_registry(cfg.get('_scope_')) as registry:
                return registry.get(kind)
        return kind if isinstance(kind, type) else type(kind)

    def is_kind(self, cfg: Any, *kinds: type) -> bool:
        """Whether what a config stands for is one of these classes or derived from one; see :meth:`class_of`."""
        return issubclass(self.class_of(cfg), kinds)

    def __contains__(self, key: str) -> bool:
        return self._find(key) is not None

    def build(self, cfg: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            self._refuse_foreign_paths(cfg)
            return super().build(cfg, *args, **kwargs)
        except UnknownComponentError as error:
            error.locate(cfg)
            raise

    def _find(self, key: str) -> Any:
        """A registered component, or None.

        mmengine's own look-up ends by importing what the name spells, whatever that is: a checkpoint whose config says
        ``type='os.system'`` would run a command.
        """
        self.import_from_location()
        scope, name = self.split_scope_key(key)
        if scope is None:
            return next((each.module_dict[name] for each in self._ancestry() if name in each.module_dict), None)
        if scope == self.scope and name in self.module_dict:
            return self.module_dict[name]
        if scope == self.scope or _is_foreign_path(key) or '.' in name:
            return _registered(_imported(key))
        return _registered(super().get(key))

    def _refuse_foreign_paths(self, cfg: Any) -> None:
        """Raise where a part of a config is named by the import path of something that is registered nowhere.

        Parts with a ``_scope_`` are looked up by other registries than this, which would import and call it.
        """
        self.import_from_location()
        for path, value in _walk(cfg):
            if path.rpartition('.')[2] == 'type' and isinstance(value, str) and _is_foreign_path(value):
                raise UnknownComponentError(value, f'{self.scope}::{self.name}', self._known_names())

    def _ancestry(self) -> Iterator[roots.Registry]:
        registry: roots.Registry | None = self
        while registry is not None:
            yield registry
            registry = registry.parent

    def _known_names(self) -> list[str]:
        return sorted({name for registry in self._ancestry() for name in registry.module_dict})


def import_path(component: Any) -> str:
    """Where a class or function can be imported from, such as ``mitouts.models.localizer.WSSLocalizer``."""
    return f'{getattr(component, "__module__", "")}.{getattr(component, "__qualname__", "")}'


def _is_foreign_path(name: str) -> bool:
    """Whether a name is the import path of something that is registered nowhere, and no ``scope.Name``."""
    scope, *rest = name.split('.')
    if not rest or _registered(_imported(name)) is not None:
        return False
    known = {'mmcv', 'mmdet', *(each.scope for each in _registries())}
    return scope not in known or len(rest) > 1 or _imported(name) is not None


def _imported(path: str) -> Any:
    """What an import path leads to, where its module is imported already; otherwise None."""
    module, _, attribute = path.rpartition('.')
    return getattr(sys.modules.get(module), attribute, None)


def _registered(component: Any) -> Any:
    """The component if a registry holds it, otherwise None."""
    holds = any(component is known for each in _registries() for known in each.module_dict.values())
    return component if holds else None


def _registries() -> Iterator[roots.Registry]:
    """Ours, mmengine's and those of other packages that are imported."""
    for each in (AGGREGATORS, *vars(roots).values()):
        if isinstance(each, roots.Registry):
            yield from _descendants(each)


def _descendants(registry: roots.Registry) -> Iterator[roots.Registry]:
    yield registry
    for child in registry.children.values():
        yield from _descendants(child)


MODELS = Registry(
    'model',
    parent=roots.MODELS,
    scope=SCOPE,
    locations=['mitouts.models'],
)
AGGREGATORS = Registry('aggregator', scope=SCOPE, locations=['mitouts.models.aggregators'])
DATASETS = Registry('dataset', parent=roots.DATASETS, scope=SCOPE, locations=['mitouts.datasets'])
DATA_SAMPLERS = Registry('data sampler', parent=roots.DATA_SAMPLERS, scope=SCOPE, locations=['mitouts.datasets'])
TRANSFORMS = Registry('transform', parent=roots.TRANSFORMS, scope=SCOPE, locations=['mitouts.transforms'])
METRICS = Registry('metric', parent=roots.METRICS, scope=SCOPE, locations=['mitouts.evaluation'])
EVALUATOR = Registry('evaluator', parent=roots.EVALUATOR, scope=SCOPE, locations=['mitouts.evaluation'])
HOOKS = Registry('hook', parent=roots.HOOKS, scope=SCOPE, locations=['mitouts.engine'])
FUNCTIONS = Registry('function', parent=roots.FUNCTIONS, scope=SCOPE, locations=['mitouts.datasets'])
VISUALIZERS = Registry('visualizer', parent=roots.VISUALIZERS, scope=SCOPE, locations=['mitouts.visualization'])
TASK_UTILS = Registry(
    'task util',
    parent=roots.TASK_UTILS,
    scope=SCOPE,
    locations=['mitouts.evaluation', 'mitouts.distillation', 'mitouts.stain', 'mitouts.imaging.opening'],
)

# Without a child of its own under every root, mmengine warns each time it builds one of its own parts in our scope.
for _root in (
    roots.LOOPS,
    roots.LOG_PROCESSORS,
    roots.MODEL_WRAPPERS,
    roots.OPTIMIZERS,
    roots.OPTIM_WRAPPERS,
    roots.OPTIM_WRAPPER_CONSTRUCTORS,
    roots.PARAM_SCHEDULERS,
    roots.RUNNERS,
    roots.VISBACKENDS,
    roots.WEIGHT_INITIALIZERS,
):
    Registry(_root.name, parent=_root, scope=SCOPE)
