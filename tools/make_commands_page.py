"""Write docs/commands.md: every command with what it does, and the file under tools/ that calls it.

python tools/make_commands_page.py
"""

from __future__ import annotations

import argparse
import inspect
import re
from pathlib import Path

from mitouts.commands.convert import converter_parser
from mitouts.commands.main import GROUPS, commands, help_line
from mitouts.converters.base import Converter, known_converters
from mitouts.utils.cli import run

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / 'docs' / 'commands.md'
HEAD = """# Commands

`pip install mitouts` gives the command `mitouts`. `mitouts --help` lists what follows, `mitouts NAME --help` describes
one command, and `python -m mitouts` is the same where the command is not on the path. In a checkout, each file under
`tools/` calls its command with the same arguments: `python tools/train.py CONFIG` is `mitouts train CONFIG`.

- **A config** is a path, or a name that works in any folder: `mitouts train uts/uts_lite0 --data phantom`. The configs
  travel with the package.
- **A checkpoint** is a path, or a name that `mitouts models` lists.
- **The shell completes** commands, options, choices, and names of configs, data sets and converters after
  `eval "$(register-python-argcomplete mitouts)"`; put the line into `~/.bashrc` (for zsh: into `~/.zshrc`).

This page is made by `python tools/make_commands_page.py`.
"""


def main() -> None:
    """Write the page."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    PAGE.write_text(page(), encoding='utf-8')
    print(PAGE)


def page() -> str:
    """The page, Markdown."""
    names = commands()
    tools = {path.relative_to(ROOT).as_posix(): command_of(path) for path in sorted(ROOT.glob('tools/**/*.py'))}
    parts = [HEAD]
    listed = [name for group in GROUPS.values() for name in group]
    for title, group in {**GROUPS, 'more': [name for name in names if name.split()[0] not in listed]}.items():
        rows = [name for first in group for name in names if name.split()[0] == first]
        if rows:
            parts += [f'\n## {title.capitalize()}\n', '| command | does | tool |', '| --- | --- | --- |']
        for name in rows:
            own = [f'`{tool}`' for tool, module in tools.items() if module == names[name]]
            # The tools of convert are those of its converters, which follow.
            parts.append(f'| `mitouts {name}` | {help_line(name)} | {own[0] if len(own) == 1 else "none"} |')
            parts += _converter_rows() if name == 'convert' else []
        if 'convert' in rows:
            parts += ['', *_converter_options()]
    parts += ['\n## Tools without a command\n', '| tool | does |', '| --- | --- |']
    parts += [f'| `{tool}` | {_first_line(ROOT / tool)} |' for tool, module in tools.items() if module is None]
    return '\n'.join(parts) + '\n'


def _converter_rows() -> list[str]:
    return [
        f'| `mitouts convert {name}` | {(inspect.getdoc(kind) or "").splitlines()[0].rstrip(".")} | '
        f'`tools/dataset_converters/{name}.py` |'
        for name, kind in _own_converters()
    ]


def _converter_options() -> list[str]:
    """The options that all converters take, and those that single ones add, a list item each."""
    shared: list[str] = []
    own = []
    for name, kind in _own_converters():
        *_, options, group = converter_parser(kind)._action_groups
        shared = _options(options)
        if group._group_actions:
            own.append(f'- `{name}`: {", ".join(_options(group))}')
    return [f'Every converter takes {", ".join(shared)}. These add to them:', '', *own]


def _own_converters() -> list[tuple[str, type[Converter]]]:
    """The package's converters by name; others may be registered in this process."""
    own = [(name, kind) for name, kind in known_converters().items() if kind.__module__.startswith('mitouts.')]
    return sorted(own, key=lambda pair: pair[0])


def _options(group: argparse._ArgumentGroup) -> list[str]:
    return [f'`{action.option_strings[0]}`' for action in group._group_actions if action.dest != 'help']


def command_of(tool: Path) -> str | None:
    """The module of the command that a file under ``tools/`` calls."""
    found = re.search(
        r'^from (mitouts\.commands\.\S+) import (main|run_converter)$', tool.read_text(encoding='utf-8'), re.MULTILINE
    )
    return found[1] if found else None


def _first_line(path: Path) -> str:
    return path.read_text(encoding='utf-8').splitlines()[0].strip('"').rstrip('.:')


if __name__ == '__main__':
    run(main)
