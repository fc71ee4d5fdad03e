"""Finds a config by its path or by its name, in any folder: in the checkout, or in the installed package."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import mitouts
from mitouts.errors import ConfigError

PACKAGE = Path(mitouts.__file__).parent
OF_PACKAGE = 'mitouts::'
"""Prefix of the name of a config of the package where a path is expected, as in ``_base_``."""


def config_root() -> Path:
    """Return the folder of the configs: ``.mim/configs`` of an installed package, ``configs`` of a checkout."""
    packed = PACKAGE / '.mim' / 'configs'
    return packed if packed.is_dir() else PACKAGE.parent / 'configs'


def find_config(name: str | Path, suffix: str = '.py') -> Path:
    """Return the path of a config.

    Args:
        name: A path; or, with or without its suffix, a name such as ``uts/uts_lite0`` or
            ``configs/uts/uts_lite0.py``, relative to :func:`config_root`. A path takes precedence over a name.
        suffix: ``.py``, or ``.yaml`` for the suites.

    Raises:
        ConfigError: There is neither; the message gives the nearest names.
    """
    path, root = Path(name), config_root()
    if path.is_file():
        return path
    wanted = path if path.suffix == suffix else Path(f'{path}{suffix}')
    inside = Path(*wanted.parts[1:]) if wanted.parts[:1] == ('configs',) else wanted
    for candidate in (wanted, root / inside):
        if candidate.is_file():
            return candidate
    what = 'config' if suffix == '.py' else 'suite'
    raise ConfigError(f'{what} {name} does not exist{_hint(wanted, inside, suffix)}')


def find_base(name: str, folder: Path) -> Path:
    """Return the path of a base config, given relative to a folder or as ``mitouts::NAME`` of the package.

    Raises:
        ConfigError: The package has no config of this name.
    """
    return find_config(name.removeprefix(OF_PACKAGE)) if name.startswith(OF_PACKAGE) else folder / name


def config_name(path: str | Path | None) -> str:
    """Return the name of a config of the package, as commands take it; for other configs the path, for None ``''``."""
    if path is None:
        return ''
    normal, root = Path(os.path.normpath(path)), config_root()
    return normal.relative_to(root).with_suffix('').as_posix() if normal.is_relative_to(root) else str(path)


def config_names(suffix: str = '.py') -> list[str]:
    """Return the names of all configs that can be run, as :func:`find_config` takes them."""
    root = config_root()
    paths = (path.relative_to(root) for path in root.rglob(f'*{suffix}'))
    return sorted(path.with_suffix('').as_posix() for path in paths if not path.parts[0].startswith('_'))


def data_names() -> list[str]:
    """Return the names of the data sets that ``--data`` takes."""
    return sorted(path.stem.replace('_', '-') for path in (config_root() / '_base_' / 'datasets').glob('*.py'))


def _hint(wanted: Path, inside: Path, suffix: str) -> str:
    beside = [path.name for path in wanted.parent.glob(f'*{suffix}')]
    names = config_names(suffix)
    own_name = [name for name in names if Path(name).name == inside.stem]
    near = difflib.get_close_matches(wanted.name, beside, n=3) or own_name
    near = near or difflib.get_close_matches(inside.with_suffix('').as_posix(), names, n=3)
    return f'; did you mean {", ".join(near)}?' if near else ''
