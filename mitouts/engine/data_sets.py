"""Replaces the data set that a config inherits by another one."""

from __future__ import annotations

import difflib
import threading
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mitouts.errors import ConfigError
from mitouts.evaluation.dice import TissueEvaluator
from mitouts.registry import EVALUATOR
from mitouts.utils.config_files import OF_PACKAGE, find_base

DATA_KEY = 'data'
"""Says in a config which data set is used; a description of a stage may say it, too."""
NAME_KEY = 'data_name'
"""The name that a data set's config gives itself, for other parts of a config to use."""
FOLDER = 'datasets'
_READING = threading.RLock()


def data_name(data: str) -> str:
    """Return the name of a data set in names of runs: ``midog21-hn``, or for a file its name without ``.py``."""
    return (Path(data).stem if is_file(data) else data).replace('_', '-')


def is_file(data: str) -> bool:
    """Whether a data set is given by the path of its config instead of a name."""
    return data.endswith('.py')


def run_name(config: str | Path, data: str | None = None) -> str:
    """Return the name of a run of a config, such as ``uts_lite0_midog21``, which is also its default work dir's."""
    stem = Path(config).stem
    return stem if data is None else f'{stem}_{data_name(data)}'


def own_config(path: Path, data: str) -> Path:
    """Return the config to use for a data set: ``CONFIG_DATA.py`` if it lies beside ``CONFIG.py``, else this one."""
    own = path.with_name(f'{run_name(path, data)}.py')
    return own if own.is_file() and not is_file(data) else path


def named_in(path: str | Path, data: Any) -> str | None:
    """Return the data set that a config names by ``data``; a path is relative to the folder of the config.

    Args:
        path: The config.
        data: Value of ``data`` in the config; None if it has none.

    Raises:
        ConfigError: It is no text.
    """
    if data is not None and not isinstance(data, str):
        raise ConfigError(f'config {path}: data must be the name of a data set, found {data!r}')
    return str(Path(path).parent / data) if data is not None and is_file(data) else data


def read_config(path: Path, data: str | None = None) -> Config:
    """Read a config with its data set replaced by another.

    Every base in a folder ``datasets`` is replaced by that of the data set, and every other base ``NAME.py`` by
    ``NAME_DATA.py`` where this file exists.

    Args:
        path: Config file.
        data: Name of a file of ``_base_/datasets``, with hyphens or underscores, or the path of such a file. None
            takes the data set that the config names by ``data = ...``, or else that of its bases. Where
            ``CONFIG_DATA.py`` lies beside ``CONFIG.py``, it is read instead, as it is.

    Raises:
        ConfigError: The data set is unknown or of another task, the config inherits none that it could replace, or it
            names its own data after all.
    """
    if data is not None:
        own = own_config(path, data)
        if own != path:
            path, data = own, None
    bases = _Bases(data)
    config = bases.read(path)
    named = config.get(DATA_KEY)
    if data is None and named is not None:
        data = named_in(path, named)
        bases = _Bases(data)
        config = bases.read(path)
    elif data is None and NAME_KEY in config and own_config(path, config[NAME_KEY]) != path:
        return read_config(own_config(path, config[NAME_KEY]))
    if data is not None and not bases.replaced and not config.get('stages'):
        raise ConfigError(
            f'config {path} inherits no data set, which {data!r} could replace: expected a file of a folder {FOLDER}/ '
            'among its bases'
        )
    _check_name(config, path, data)
    return config


def _check_name(config: Config, path: Path, data: str | None) -> None:
    """Check that the config ends up with the data set that was asked for."""
    own = config.get(NAME_KEY)
    if data is not None and not is_file(data) and own not in (None, data_name(data)):
        raise ConfigError(
            f'config {path}: data {data!r} was asked for, but {NAME_KEY} is {own!r}: a base of it that is no file of '
            f'a folder {FOLDER}/ names its own data, or the data set lacks {NAME_KEY} = {data_name(data)!r}'
        )


def _check_task(own: Path, other: Path, config: str) -> None:
    """Check that both data sets have points, or both tissue classes.

    Raises:
        ConfigError: It does not.
    """
    files = (own, other)
    for_tissue = [
        EVALUATOR.is_kind(Config.fromfile(file).get('val_evaluator') or {}, TissueEvaluator) for file in files
    ]
    if for_tissue[0] != for_tissue[1]:
        has = ['tissue classes' if is_tissue else 'points' for is_tissue in for_tissue]
        raise ConfigError(
            f'config {config} learns {has[0]} of {own.stem}, and the data set {data_name(other.stem)!r} has {has[1]}: '
            f'take another data set, or a config of configs/{"tissue" if for_tissue[1] else "uts"}'
        )


class _Bases:
    """Finds the bases of a config while it is read, and replaces those that define the data set.

    Args:
        data: The data set; None leaves every base as it is.

    Attributes:
        replaced: A data set was replaced.
    """

    def __init__(self, data: str | None) -> None:
        self.data = data
        self.replaced = False
        self._refusal: ConfigError | None = None
        self._parts: set[Path] = set()

    def read(self, path: Path) -> Config:
        """Read a config.

        Raises:
            ConfigError: The data set is unknown, or of another task.
        """
        # mmengine has no way to choose a base from outside; its method is put back before anybody else reads.
        with _READING:
            self._find = Config._get_cfg_path
            Config._get_cfg_path = staticmethod(self.find)
            try:
                config = Config.fromfile(path)
            except Exception:
                if self._refusal is None:
                    raise
            finally:
                Config._get_cfg_path = staticmethod(self._find)
        if self._refusal is not None:
            raise self._refusal
        return config

    def find(self, base: str, config: str) -> tuple[str, str | None]:
        """Return path and scope of a base of a config, as ``Config._get_cfg_path`` does.

        Raises:
            ConfigError: The base is called ``mitouts::NAME``, and the package has none of this name.
        """
        if base.startswith(OF_PACKAGE):
            # mmengine knows its own packages only.
            base_path, scope = str(find_base(base, Path())), None
        else:
            base_path, scope = self._find(base, config)
        if self.data is None:
            return base_path, scope
        path, parent = Path(base_path).resolve(), Path(config).resolve()
        if parent in self._parts:
            # A data set's own base.
            self._parts.add(path)
        elif path.parent.name == FOLDER:
            own = path
            try:
                path = data_file(self.data, path.parent)
                self._parts |= {own, path}
                _check_task(own, path, config)
            except ConfigError as error:
                # Raised in here, it would leave mmengine's temporary file open.
                self._refusal = error
            self.replaced = True
        elif own_config(path, self.data) != parent:
            path = own_config(path, self.data)
        return str(path), scope


def data_file(data: str, folder: Path) -> Path:
    """Return the path of a data set's config.

    Args:
        data: See :func:`read_config`.
        folder: Folder of the configs of named data sets.

    Raises:
        ConfigError: There is none; the message tells the nearest names.
    """
    if is_file(data):
        if not Path(data).is_file():
            raise ConfigError(f'data set {data}: there is no such file')
        return Path(data).resolve()
    path = folder / f'{data.replace("-", "_")}.py'
    if not path.is_file():
        known = sorted(data_name(each.stem) for each in folder.glob('*.py'))
        near = difflib.get_close_matches(data_name(data.lower()), known, n=3)
        hint = f'did you mean {" or ".join(near)}?' if near else f'known are {", ".join(known)}.'
        raise ConfigError(
            f'unknown data set {data!r}: {hint} A data set of your own is given as a path that ends in .py'
        )
    return path
