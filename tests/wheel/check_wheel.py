"""Checks an installed wheel of the package, in an environment that holds its dependencies and nothing else.

    python -I tests/wheel/check_wheel.py CHECKOUT

Every file of the package must be installed, whatever the package or a tool imports must come from a declared
dependency, and every module must be importable but those that import an optional one; these are named.
"""

from __future__ import annotations

import ast
import importlib
import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

NAME = 'mitouts'
OPTIONAL = ('detection', 'review')
# Optional distributions that install modules of another name. Of those that are installed, the metadata says it.
MODULES = {'onedl-mmdetection': 'mmdet', 'scikit-image': 'skimage'}


def main() -> int:
    """Print what is wrong, one line each, and what was left out."""
    checkout = Path(sys.argv[1])
    package = Path(str(importlib.import_module(NAME).__file__)).parent
    if package.is_relative_to(checkout):
        print(f'error: {package} is the checkout, not an installed wheel')
        return 1
    required, optional = declared_modules()
    faults = list(missing_files(checkout / NAME, package, NAME))
    faults += missing_files(checkout / 'configs', package / '.mim' / 'configs', 'configs')
    of_package = {module for module, extra in optional.items() if extra in OPTIONAL}
    faults += undeclared_imports(package, required | of_package)
    faults += undeclared_imports(checkout / 'tools', required | optional.keys())
    left_out: dict[str, str] = {}
    num_imported = 0
    for module in modules_of(package):
        try:
            importlib.import_module(module)
            num_imported += 1
        except ModuleNotFoundError as error:
            wanted = str(error.name).partition('.')[0]
            if optional.get(wanted) not in OPTIONAL:
                faults.append(f'{module}: {error}')
            else:
                left_out[module] = f'{wanted}, extra {optional[wanted]}'
        except ImportError as error:
            faults.append(f'{module}: {error}')
    print(f'{NAME} {metadata.version(NAME)} on Python {platform.python_version()}: {num_imported} modules imported')
    for module, reason in left_out.items():
        print(f'left out: {module} ({reason})')
    for fault in faults:
        print(f'error: {fault}')
    print(f'{num_imported} passed, {len(faults)} failed, {len(left_out)} skipped')
    return 1 if faults else 0


def declared_modules() -> tuple[set[str], dict[str, str]]:
    """Top-level modules of the required distributions, and of the optional ones with the extra that asks for them."""
    distributions: dict[str, list[str]] = {}
    for module, names in metadata.packages_distributions().items():
        for name in names:
            distributions.setdefault(normalized(name), []).append(module)
    required: set[str] = set()
    optional: dict[str, str] = {}
    for requirement in metadata.requires(NAME) or ():
        name = normalized(re.split(r'[^\w.-]', requirement, maxsplit=1)[0])
        extra = re.search(r"""extra == ['"](\w+)['"]""", requirement)
        modules = distributions.get(name) or [MODULES.get(name, name.replace('-', '_'))]
        if extra:
            optional.update(dict.fromkeys(modules, extra[1]))
        else:
            required.update(modules)
    return required, optional


def normalized(name: str) -> str:
    """A distribution's name as the index spells it."""
    return re.sub(r'[-_.]+', '-', name).lower()


def missing_files(source: Path, package: Path, name: str) -> Iterator[str]:
    """Files of the checkout that the wheel did not bring."""
    for path in sorted(source.rglob('*')):
        if path.is_file() and '__pycache__' not in path.parts and not (package / path.relative_to(source)).is_file():
            yield f'{name}/{path.relative_to(source)} is not in the wheel: see pyproject.toml and setup.py'


def undeclared_imports(folder: Path, allowed: set[str]) -> Iterator[str]:
    """Imports, those within functions too, of modules that no declared dependency provides."""
    for path in sorted(folder.rglob('*.py')):
        own = {NAME, *(sibling.stem for sibling in path.parent.glob('*.py'))}
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [str(node.module)]
            else:
                continue
            for top in {name.partition('.')[0] for name in names} - allowed - own - sys.stdlib_module_names:
                place = f'{path.relative_to(folder.parent)}:{node.lineno}'
                yield f'{place} imports {top}, which no dependency in pyproject.toml is'


def modules_of(package: Path) -> Iterator[str]:
    """Names of all modules, found by their files: walking the packages would stop at one that cannot be imported."""
    for path in sorted(package.rglob('*.py')):
        # The configs in .mim are no modules.
        if '.mim' in path.parts:
            continue
        parts = path.relative_to(package.parent).with_suffix('').parts
        yield '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


if __name__ == '__main__':
    sys.exit(main())
