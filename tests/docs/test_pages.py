"""README and docs: their links, the paths and command lines they show, and the site's map."""

from __future__ import annotations

import argparse
import re
import runpy
import shlex
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / 'docs'
PAGES = sorted(
    [
        *(REPOSITORY / name for name in ('README.md', 'CONTRIBUTING.md')),
        *DOCS.glob('*.md'),
        *(REPOSITORY / 'configs').rglob('README.md'),
        *(REPOSITORY / 'projects').rglob('README.md'),
    ]
)
WRITTEN = {'configs/_base_/datasets/mine.py', 'configs/detection/gfl_lite0.py'}
"""Files that a page asks its reader to write."""

LINK = re.compile(r'\]\(([^)\s]+)\)|(?:src|href)="([^"]+)"')
HEADING = re.compile(r'^#+ (.+?)\s*$', flags=re.MULTILINE)
FENCED = re.compile(r'^([ ]*)```(\w*).*?\n(.*?)^\1```$', flags=re.DOTALL | re.MULTILINE)
PATH = re.compile(r'(?<![\w./-])(?:configs|docs|mitouts|projects|tests|tools)/[\w./+-]*\w/?(?![\w*{<]|_\*)')
ASSIGNMENT = re.compile(r'^[A-Z_]+=')
OF_THE_READER = 'my_package'
"""What the recipes of `docs/extend.md` write; their own tests run the commands that import it."""

ENVIRONMENT = {'pip', 'pre-commit', 'tensorboard', 'torchrun', 'zensical'}
"""Programs of the virtual environment, beside Python and ours."""


def page_name(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


def prose(page: Path) -> str:
    return FENCED.sub('', page.read_text(encoding='utf-8'))


def anchors(page: Path) -> set[str]:
    """As GitHub and the site make them of headings."""
    plain = (re.sub(r'\[(.*?)\]\(.*?\)|[`*]', r'\1', heading) for heading in HEADING.findall(prose(page)))
    return {re.sub(r'[^\w\- ]', '', heading.lower()).strip().replace(' ', '-') for heading in plain}


@pytest.mark.parametrize('page', PAGES, ids=page_name)
def test_links_lead_somewhere(page: Path) -> None:
    for groups in LINK.findall(prose(page)):
        target, _, anchor = ''.join(groups).partition('#')
        if re.match(r'\w+:', target):
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), target
        if anchor and file.suffix == '.md':
            assert anchor in anchors(file), f'{target}#{anchor}'


@pytest.mark.parametrize('page', PAGES, ids=page_name)
def test_paths_that_are_named_exist(page: Path) -> None:
    own = page.parent if page.is_relative_to(REPOSITORY / 'projects') else REPOSITORY
    named = {path for path in PATH.findall(page.read_text(encoding='utf-8')) if not re.search('NAME|ROOM', path)}
    assert not {path for path in named - WRITTEN if not any((root / path).exists() for root in (REPOSITORY, own))}


def commands(page: Path) -> Iterator[list[str]]:
    """The commands of a page's bash blocks without comments, behind what the block has exported before."""
    for _, language, block in FENCED.findall(page.read_text(encoding='utf-8')):
        if language != 'bash':
            continue
        lines = iter(block.replace('\\\n', ' ').splitlines())
        exported: list[str] = []
        for line in lines:
            words: list[str] = []
            for word in [*words_of(line, lines), ';']:
                if word not in {'&&', '||', ';', '|'}:
                    words.append(word)
                elif words:
                    if words[0] == 'export':
                        exported += words[1:]
                    else:
                        yield [*exported, *words]
                    words = []


def words_of(line: str, following: Iterator[str]) -> list[str]:
    """A line as the shell splits it, with those that follow where a quotation goes on there."""
    while True:
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        try:
            return list(lexer)
        except ValueError:
            line = f'{line}\n{next(following)}'


def meant(words: list[str]) -> list[str]:
    """The command without what is redirected."""
    for stop in ('>', '>>', '2>'):
        words = words[: words.index(stop)] if stop in words else words
    return words


SHOWN = [
    pytest.param(command, id=f'{page_name(page)}: {shlex.join(command)[:90]}')
    for page in PAGES
    for command in map(meant, commands(page))
    if not all(ASSIGNMENT.match(word) for word in command) and OF_THE_READER not in command
]


@pytest.mark.parametrize('command', SHOWN)
def test_a_command_exists_and_takes_what_is_shown(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    while (word := command[0]) and ASSIGNMENT.match(word):
        if word.startswith('PYTHONPATH='):
            monkeypatch.syspath_prepend(word.partition('=')[2])
        command = command[1:]
    program, *arguments = command
    script = next((number for number, word in enumerate(arguments) if re.fullmatch(r'tools/[\w/]+\.py', word)), None)
    if program == 'make':
        targets = re.findall(r'^([a-z-]+):', (REPOSITORY / 'Makefile').read_text(), flags=re.MULTILINE)
        assert {word for word in arguments if '=' not in word} <= set(targets)
    elif program.removeprefix('.venv/bin/') == 'mitouts':
        parse_as(monkeypatch, ['mitouts', *arguments], entry_point())
    elif script is not None:
        assert (REPOSITORY / arguments[script]).is_file()
        start = partial(runpy.run_path, str(REPOSITORY / arguments[script]), run_name='__main__')
        parse_as(monkeypatch, arguments[script:], start)
    elif program.startswith('tools/'):
        assert (REPOSITORY / program).is_file()
    elif program.startswith('.venv/bin/'):
        name = program.removeprefix('.venv/bin/')
        assert name in ENVIRONMENT or (name == 'python' and arguments[0] in {'-c', '-m'})


def entry_point() -> Callable[[], Any]:
    """What ``mitouts`` calls, as the package's metadata say."""
    scripts = re.search(r'^mitouts = "([\w.]+):(\w+)"', (REPOSITORY / 'pyproject.toml').read_text(), flags=re.MULTILINE)
    assert scripts is not None
    return getattr(import_module(scripts[1]), scripts[2])


class Parsed(BaseException):
    """Ends a tool as soon as it has read its command line."""


class Refused(BaseException):
    """Ends a tool whose parser does not accept its command line."""


def parse_as(monkeypatch: pytest.MonkeyPatch, words: list[str], start: Callable[[], Any]) -> None:
    """Start a tool with a command line, and stop it once its parser has accepted that."""

    def stopping(parse: Callable[..., argparse.Namespace]) -> Callable[..., argparse.Namespace]:
        def parse_and_stop(parser: argparse.ArgumentParser, *args: Any, **kwargs: Any) -> argparse.Namespace:
            namespace = parse(parser, *args, **kwargs)
            if parser.prog == 'mitouts':
                return namespace
            raise Parsed

        return parse_and_stop

    def refuse(parser: argparse.ArgumentParser, message: str) -> None:
        raise Refused(f'{parser.prog}: {message}')

    monkeypatch.setattr(sys, 'argv', words)
    monkeypatch.setattr(argparse.ArgumentParser, 'error', refuse)
    for name in ('parse_args', 'parse_intermixed_args'):
        monkeypatch.setattr(argparse.ArgumentParser, name, stopping(getattr(argparse.ArgumentParser, name)))
    helped = any(word in {'-h', '--help'} for word in words)
    with pytest.raises((Parsed, SystemExit) if helped else Parsed):
        start()


def site_map() -> list[str]:
    """The pages of the site's navigation, in its order."""

    def pages(entries: Any) -> Iterator[str]:
        if isinstance(entries, str):
            yield entries
        else:
            for entry in entries.values() if isinstance(entries, dict) else entries:
                yield from pages(entry)

    return list(pages(yaml.safe_load((REPOSITORY / 'mkdocs.yml').read_text())['nav']))


def test_every_page_is_in_the_navigation_once() -> None:
    listed = site_map()
    assert sorted(listed) == sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob('*.md'))


def test_every_room_has_its_page_of_the_reference() -> None:
    hidden = {'__init__', '__main__'}
    package = REPOSITORY / 'mitouts'
    rooms = {path.parent.name for path in package.glob('*/__init__.py')}
    modules = {path.stem for path in package.glob('*.py')} - hidden
    assert {path.stem for path in (DOCS / 'api').glob('*.md')} - {'index'} == rooms | modules
    for room in rooms | modules:
        page = f'# {room} {{#mitouts.{room}}}\n\n::: mitouts.{room}\n'
        assert (DOCS / 'api' / f'{room}.md').read_text() == page


def test_every_page_is_linked_from_the_index() -> None:
    index = (DOCS / 'index.md').read_text()
    missing = [page for page in site_map() if not page.startswith('api/') and page != 'index.md' and page not in index]
    assert not missing
