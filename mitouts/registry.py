"""Finds and builds everything that a config can name, under the scope ``mitouts``.

Each registry imports the package's modules the first time a name is looked up (``locations``), so a config never has to
import modules of this package. Building an unknown name raises :class:`UnknownComponentError`.
"""

from __future__ import annotations

import difflib
import importlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine import registry as roots

from mitouts.errors import ConfigError, MitoutsError

SCOPE = 'mitouts'
_NOT_FOUND_IN_MMENGINE = re.compile(r'(?P<name>\S+) is not in the ((?P<scope>\w+)::)?(?P<registry>.+?) registry\. ')


class UnknownComponentError(MitoutsError, KeyError):
    """Raised when a config names a component that no registry knows.

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
        self.checkpoint: str | None = None
        self.imports: list[str] = []

    def locate(self, cfg: Any) -> None:
        """Store the keys of a config that hold the name; the outermost caller, which has full paths, is the last."""
        self.config_keys = [path for path, value in _walk(cfg) if path.endswith('type') and value == self.name]

    def came_from(self, checkpoint: str | Path, config: Mapping[str, Any]) -> None:
        """Store the checkpoint whose config holds the name, and the packages that the config imports."""
        listed = config.get('custom_imports')
        imports = listed.get('imports') if isinstance(listed, Mapping) else None
        names = [imports] if isinstance(imports, str) else imports if isinstance(imports, (list, tuple)) else []
        self.checkpoint = str(checkpoint)
        # The file may come from anywhere, and its words are printed as a command.
        self.imports = [name for name in map(str, names) if name.replace('.', '_').isidentifier()]
        self.locate(config)

    def __str__(self) -> str:
        where = f' (config key {", ".join(repr(key) for key in self.config_keys)})' if self.config_keys else ''
        if self.checkpoint is not None:
            return (
                f'checkpoint {self.checkpoint}: {self.name!r} is not in the {self.registry_name} registry{where}. '
                f'{self._how_to_import()}'
            )
        if self.nearest:
            hint = f'Did you mean {" or ".join(repr(name) for name in self.nearest)}?'
        else:
            hint = f'It knows: {", ".join(self.known) or "nothing"}.'
        return (
            f'{self.name!r} is not in the {self.registry_name} registry{where}. {hint} '
            "A component of your own must be imported first: custom_imports = dict(imports=['your.module']) in the "
            'config, or --import your.module.'
        )

    def _how_to_import(self) -> str:
        # Only the one who loads a file may say what is executed for it, so its own imports are a suggestion.
        names = self.imports or ['PACKAGE']
        options = ' '.join(f'--import {name}' for name in names)
        if self.imports:
            said = f'It was trained with custom_imports of {" and ".join(self.imports)}: if you trust that code, add'
        else:
            said = 'If it is a component of your own, name the package that registers it:'
        return f'{said} {options}, with its folder on PYTHONPATH (in Python: imports={names})'


def import_packages(names: Iterable[str]) -> None:
    """Import packages that register the user's own components.

    Args:
        names: Dotted names, as ``import`` takes them.

    Raises:
        ConfigError: A package cannot be imported, whatever it raises.
    """
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:
            wanted = 'a package that Python finds: install it, or put the folder that holds it on PYTHONPATH'
            reason = (
                'it is a path'
                if Path(name).exists() and not name.isidentifier()
                else f'{type(error).__name__}: {error}'
            )
            raise ConfigError(f'{name!r} cannot be imported ({reason}); expected {wanted}') from error


@contextmanager
def components_of(checkpoint: str | Path, config: Mapping[str, Any]) -> Iterator[None]:
    """Add the checkpoint, config key and imports to the error about an unknown component that is raised in the block.

    Args:
        checkpoint: The file.
        config: The config in it; its ``custom_imports`` are mentioned, never imported.
    """
    try:
        yield
    except UnknownComponentError as error:
        error.came_from(checkpoint, config)
        raise


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
    """mmengine's registry, with errors that say where the unknown name is."""

    _imported: bool

    def import_from_location(self) -> None:
        """Import the modules of this registry's components, once; mmengine's version also logs, which loads torch."""
        if not self._imported:
            for location in self._locations:
                importlib.import_module(location)
            self._imported = True

    def get(self, key: str) -> Any:
        """Return a registered component; None if there is none of that name, as in mmengine's registries.

        mmengine's own look-up finally imports whatever the name spells: a checkpoint whose config says
        ``type='os.system'`` would run a command. Here, only what is registered is ever found.

        Args:
            key: Name, with or without a scope, or the import path of a registered class.

        Raises:
            TypeError: The key is not a string.
        """
        if not isinstance(key, str):
            raise TypeError(f'a registry is asked for a name, found {key!r:.80}')
        self.import_from_location()
        scope, name = self.split_scope_key(key)
        if scope is None:
            return next((own.module_dict[name] for own in _ancestry(self) if name in own.module_dict), None)
        if scope == self.scope and name in self.module_dict:
            return self.module_dict[name]
        if scope == self.scope or _is_foreign_path(key) or '.' in name:
            return _registered(_imported(key))
        return _registered(super().get(key))

    def require(self, key: str) -> Any:
        """Return a registered component; raise an :class:`UnknownComponentError` if there is none of that name."""
        return self.class_of({'type': key})

    def own_components(self) -> dict[str, Any]:
        """Return the components by name that are registered here and not in a parent."""
        self.import_from_location()
        return dict(self.module_dict)

    def class_of(self, cfg: Any) -> Any:
        """Return the class that a config stands for, in whatever way it names it.

        Args:
            cfg: A dict whose ``type`` is a name, a name with a scope (``mitouts.EMATeacherHook``), an import path or
                the class itself; or an object that has already been built.

        Returns:
            The class; ``type(None)`` for a dict without ``type``.

        Raises:
            UnknownComponentError: No component has that name.
        """
        kind = cfg.get('type') if isinstance(cfg, Mapping) else cfg
        if isinstance(kind, str):
            with self.switch_scope_and_registry(cfg.get('_scope_')) as registry:
                component = registry.get(kind)
            if component is None:
                raise _unknown(registry, kind)
            return component
        return kind if isinstance(kind, type) else type(kind)

    def is_kind(self, cfg: Any, *kinds: type) -> bool:
        """Tell whether a config stands for one of these classes or a subclass of one; see :meth:`class_of`."""
        return issubclass(self.class_of(cfg), kinds)

    def build_kind(self, cfg: Any, *kinds: type) -> Any:
        """Build a component that must derive from one of these base classes.

        Raises:
            ConfigError: It derives from none of them.
            UnknownComponentError: There is none of that name.
        """
        component = self.build(cfg)
        if not isinstance(component, kinds):
            wanted = ' or '.join(import_path(kind) for kind in kinds)
            raise ConfigError(
                f'{import_path(type(component))} cannot be used as a {self.name} here: expected a class that derives '
                f'from {wanted}'
            )
        return component

    def build(self, cfg: Any, *args: Any, **kwargs: Any) -> Any:
        with locating(cfg):
            self._refuse_foreign_paths(cfg)
            return super().build(cfg, *args, **kwargs)

    def _refuse_foreign_paths(self, cfg: Any) -> None:
        """Raise an error if a part of a config is named by the import path of something that is not registered.

        Parts with a ``_scope_`` are looked up by other registries, which would import and call it.
        """
        self.import_from_location()
        for path, value in _walk(cfg):
            if path.rpartition('.')[2] == 'type' and isinstance(value, str) and _is_foreign_path(value):
                raise _unknown(self, value)


@contextmanager
def locating(cfg: Any) -> Iterator[None]:
    """Add the config key to the error about an unknown component that is raised in the block.

    Args:
        cfg: The config, or the part of one that is built.

    Raises:
        UnknownComponentError: The component is unknown, even if one of mmengine's own registries was asked to build it.
    """
    try:
        yield
    except KeyError as error:
        unknown = unknown_component(error)
        if unknown is None:
            raise
        unknown.locate(cfg)
        raise unknown from (None if unknown is error else error)


def unknown_component(error: Exception) -> UnknownComponentError | None:
    """Convert an error about an unknown name, from here or from mmengine; return None for any other error."""
    if isinstance(error, UnknownComponentError):
        return error
    # mmengine says it in a plain KeyError, in words that a test pins.
    said = _NOT_FOUND_IN_MMENGINE.match(str(error.args[0])) if isinstance(error, KeyError) and error.args else None
    if said is None:
        return None
    asked = (said['scope'] or SCOPE, said['registry'])
    searched = [registry for registry in all_registries() if (registry.scope, registry.name) == asked]
    return _unknown(searched[0], said['name']) if searched else None


def _unknown(registry: roots.Registry, name: str) -> UnknownComponentError:
    known = sorted({known for own in _ancestry(registry) for known in own.module_dict})
    return UnknownComponentError(name, f'{registry.scope}::{registry.name}', known)


def _ancestry(registry: roots.Registry | None) -> Iterator[roots.Registry]:
    while registry is not None:
        yield registry
        registry = registry.parent


def import_path(component: Any) -> str:
    """Return the import path of a class or function, such as ``mitouts.models.localizer.WSSLocalizer``."""
    return f'{getattr(component, "__module__", "")}.{getattr(component, "__qualname__", "")}'


def _is_foreign_path(name: str) -> bool:
    """Tell whether a name is the import path of something that is not registered, rather than a ``scope.Name``."""
    scope, *rest = name.split('.')
    if not rest or _registered(_imported(name)) is not None:
        return False
    known = {'mmcv', 'mmdet', *(registry.scope for registry in all_registries())}
    return scope not in known or len(rest) > 1 or _imported(name) is not None


def _imported(path: str) -> Any:
    """Return the object at an import path if its module is already imported, otherwise None."""
    module, _, attribute = path.rpartition('.')
    return getattr(sys.modules.get(module), attribute, None)


def _registered(component: Any) -> Any:
    """Return the component if a registry holds it, otherwise None."""
    holds = any(component is known for registry in all_registries() for known in registry.module_dict.values())
    return component if holds else None


def all_registries() -> Iterator[roots.Registry]:
    """Yield the registries of this package, of mmengine, and of other imported packages."""
    for root in (*(own for own in _OURS if own.parent is None), *vars(roots).values()):
        if isinstance(root, roots.Registry):
            yield from _descendants(root)


def _descendants(registry: roots.Registry) -> Iterator[roots.Registry]:
    yield registry
    for child in registry.children.values():
        yield from _descendants(child)


MODELS = Registry('model', parent=roots.MODELS, scope=SCOPE, locations=['mitouts.models'])
AGGREGATORS = Registry('aggregator', scope=SCOPE, locations=['mitouts.models.aggregators'])
DATASETS = Registry('dataset', parent=roots.DATASETS, scope=SCOPE, locations=['mitouts.datasets'])
DATA_SAMPLERS = Registry('data sampler', parent=roots.DATA_SAMPLERS, scope=SCOPE, locations=['mitouts.datasets'])
TRANSFORMS = Registry('transform', parent=roots.TRANSFORMS, scope=SCOPE, locations=['mitouts.transforms'])
METRICS = Registry('metric', parent=roots.METRICS, scope=SCOPE, locations=['mitouts.evaluation'])
EVALUATOR = Registry('evaluator', parent=roots.EVALUATOR, scope=SCOPE, locations=['mitouts.evaluation'])
THRESHOLD_SELECTORS = Registry('threshold selector', scope=SCOPE, locations=['mitouts.evaluation'])
CRITERIA = Registry('criterion', scope=SCOPE, locations=['mitouts.distillation'])
STAIN_NORMALIZERS = Registry('stain normalizer', scope=SCOPE, locations=['mitouts.stain'])
SLIDE_READERS = Registry('slide reader', scope=SCOPE, locations=['mitouts.imaging.opening'])
STAGES = Registry('stage', scope=SCOPE, locations=['mitouts.engine.stages', 'mitouts.review.stage'])
CONVERTERS = Registry('converter', scope=SCOPE, locations=['mitouts.converters'])
HOOKS = Registry(
    'hook', parent=roots.HOOKS, scope=SCOPE, locations=['mitouts.engine', 'mitouts.engine.distillation_hook']
)

# From here on they hold nothing of ours. Under every root that it builds its own parts from, mmengine looks for a child
# in our scope, and it logs a warning at each build where there is none.
OPTIMIZERS = Registry('optimizer', parent=roots.OPTIMIZERS, scope=SCOPE)
_EMPTY = tuple(
    Registry(root.name, parent=root, scope=SCOPE)
    for root in (
        roots.LOOPS,
        roots.LOG_PROCESSORS,
        roots.MODEL_WRAPPERS,
        roots.OPTIM_WRAPPERS,
        roots.OPTIM_WRAPPER_CONSTRUCTORS,
        roots.PARAM_SCHEDULERS,
        roots.RUNNERS,
        roots.VISBACKENDS,
        roots.VISUALIZERS,
        roots.WEIGHT_INITIALIZERS,
    )
)
_OURS = (*(value for value in tuple(globals().values()) if isinstance(value, Registry)), *_EMPTY)


def modules_from_outside(*registries: Registry) -> list[str]:
    """Return the modules outside the package that have registered components; a new process must import them, too."""
    modules = {component.__module__ for registry in registries for component in registry.module_dict.values()}
    return sorted(module for module in modules if module.partition('.')[0] not in (SCOPE, '__main__'))


def find_component(name: str) -> Any:
    """Return the class or function with a name, from any registry; None if it is unknown or another package's.

    Args:
        name: Name as in a config's ``type``.
    """
    if name.partition('.')[0] in ('mmdet', 'mmcv'):
        return None
    return next((component for registry in _OURS if (component := registry.get(name)) is not None), None)
