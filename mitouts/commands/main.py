# PYTHON_ARGCOMPLETE_OK
"""``mitouts NAME ARGUMENTS``: finds a command and runs it, and loads nothing else."""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mitouts import __version__
from mitouts.utils.cli import FAILED, run

HERE = Path(__file__).parent
GROUPS: Mapping[str, Sequence[str]] = {
    'models': ('train', 'test', 'distill', 'predict', 'calibrate', 'cascade', 'publish', 'models'),
    'slides': ('count', 'correlate', 'reference-hotspots', 'protocol'),
    'data': ('convert', 'join-frames', 'prepare', 'describe', 'browse', 'stain-reference', 'synthesize'),
    'review': ('review', 'hard-samples', 'disagreement'),
    'results': ('suite', 'evaluate', 'tables', 'costs', 'plot', 'update-results'),
    'this machine': ('env',),
}
"""The order in which ``mitouts --help`` lists the commands."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command named by the first words.

    Args:
        argv: Words behind ``mitouts`` (default: those of the command line).
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if '_ARGCOMPLETE' in os.environ:
        complete()
    if not words or words[0] in ('-h', '--help'):
        print(describe())
        sys.exit(0 if words else FAILED)
    if words[0] == '--version':
        print(f'mitouts {__version__}')
        sys.exit(0)
    names = commands()
    groups = {name.partition(' ')[0] for name in names if ' ' in name}
    if words[0] in groups and (len(words) == 1 or words[1] in ('-h', '--help')):
        print(describe(words[0]))
        sys.exit(0 if len(words) > 1 else FAILED)
    name = ' '.join(words[:2]) if words[0] in groups else words[0]
    if name not in names:
        print(f'error: there is no command {name!r}{_hint(name)}', file=sys.stderr)
        sys.exit(FAILED)
    # What a command prints of itself, and what it hands to processes of its own, begins with its name.
    sys.argv = [f'mitouts {name}', *words[len(name.split()) :]]
    run(importlib.import_module(names[name]).main)


def commands() -> dict[str, str]:
    """Map the name of each command, such as ``plot curves``, to its module; files are listed, nothing is imported."""
    modules = (path.relative_to(HERE).with_suffix('') for path in sorted(HERE.rglob('*.py')))
    return {
        ' '.join(module.parts).replace('_', '-'): '.'.join((__package__ or '', *module.parts))
        for module in modules
        if module.name not in ('__init__', 'main')
    }


def help_line(name: str) -> str:
    """Return the help of a command or group: the first line of its docstring, read without the rest of the file."""
    path = HERE / name.replace('-', '_').replace(' ', '/')
    with (path / '__init__.py' if path.is_dir() else path.with_suffix('.py')).open(encoding='utf-8') as file:
        return file.readline().strip().strip('"').rstrip('.:')


def describe(group: str = '') -> str:
    """Write the help of ``mitouts``, or of a group of commands such as ``mitouts plot``."""
    parser = argparse.ArgumentParser(f'mitouts {group}'.strip(), description=_description(group))
    parser.usage = f'{parser.prog} NAME [ARGUMENTS ...]'
    parser.epilog = f'{parser.prog} NAME --help describes a command'
    if not group:
        parser.add_argument('--version', action='store_true', help='print the version')
    for title, names in _sections(group):
        section = parser.add_argument_group(title)
        for name in names:
            section.add_argument(name.removeprefix(f'{group} '), help=help_line(name).replace('%', '%%'))
    return parser.format_help().rstrip()


def complete() -> None:
    """Answer the shell's request for completions; only the command on the line is imported."""
    import argcomplete

    line = os.environ.get('COMP_LINE', '').split()[1:]
    parser = argparse.ArgumentParser('mitouts')
    parser.add_argument('--version', action='store_true')
    _add_commands(parser, line)
    argcomplete.autocomplete(parser)


def _add_commands(parser: argparse.ArgumentParser, line: Sequence[str], group: str = '') -> None:
    """Add every command to a parser; only the one on the line gets its arguments."""
    names = commands()
    added = parser.add_subparsers()
    for name in _first_words(group):
        full = f'{group} {name}'.strip()
        is_meant = bool(line) and line[0] == name
        if is_meant and full in names:
            added.choices[name] = importlib.import_module(names[full]).build_parser()
        else:
            child = added.add_parser(name, help=help_line(full).replace('%', '%%'))
            if is_meant:
                _add_commands(child, line[1:], name)


def _first_words(group: str = '') -> list[str]:
    """List the commands and groups of ``mitouts``, or the commands of a group."""
    names = commands()
    if group:
        return [name.removeprefix(f'{group} ') for name in names if name.startswith(f'{group} ')]
    return list(dict.fromkeys(name.partition(' ')[0] for name in names))


def _sections(group: str) -> Iterator[tuple[str, list[str]]]:
    if group:
        yield 'commands', [f'{group} {name}' for name in _first_words(group)]
        return
    known = _first_words()
    listed = {name for names in GROUPS.values() for name in names}
    for title, names in {**GROUPS, 'more': [name for name in known if name not in listed]}.items():
        there = [name for name in names if name in known]
        if there:
            yield title, there


def _description(group: str) -> str:
    return help_line(group) if group else 'Locate mitotic figures from image labels, review them, and count on slides.'


def _hint(name: str) -> str:
    """Suggest commands that may have been meant, of the group on the line, and say where all of them are listed."""
    group, _, last = name.rpartition(' ')
    near = [f'{group} {found}'.strip() for found in difflib.get_close_matches(last, _first_words(group), n=3)]
    listed = f'{" ".join(["mitouts", *group.split()])} --help lists all'
    return f'; did you mean {" or ".join(near)}? {listed}' if near else f'; {listed}'
