"""The table of config keys: every example is taken by the config that the page names, and stands where it says."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from mmengine.config import Config

from mitouts.engine.config import load_config
from mitouts.engine.stages.experiment import load_experiment
from mitouts.registry import MODELS

REPOSITORY = Path(__file__).resolve().parents[2]
PLAIN = REPOSITORY / 'configs' / 'wss' / 'lite0_max_strong_phantom.py'
STAGED = REPOSITORY / 'configs' / 'uts' / 'uts_lite0.py'
ROWS = re.findall(
    r'^\| [^|]+ \| `([^`|]+=[^`|]+)` \|(?: ([^|]+) \|)?$',
    (REPOSITORY / 'docs' / 'config_keys.md').read_text(encoding='utf-8'),
    flags=re.MULTILINE,
)


@cache
def settings_of(where: str) -> str:
    """The text of a config, or of all configs in a folder."""
    path = REPOSITORY / where
    assert path.exists(), where
    return '\n'.join(file.read_text() for file in (path.rglob('*.py') if path.is_dir() else [path]))


@pytest.mark.parametrize(
    ('example', 'where'), [row for row in ROWS if row[1]], ids=lambda value: value.replace('/', '_')
)
def test_an_example_is_taken_and_stands_where_the_page_says(example: str, where: str) -> None:
    config = load_config(PLAIN, [example])
    key, _, value = example.removeprefix('+').partition('=')
    *_, last = key.split('.')
    if where.startswith('`'):
        assert f'{last}=' in settings_of(where.strip('`')).replace(' = ', '=')
    else:
        assert where == 'not set: a default'
        with pytest.raises((AttributeError, KeyError)):
            value_at(load_config(PLAIN), key)
    if not value.startswith(('dict(', '[')):
        assert str(value_at(config, key)) == value or float(value_at(config, key)) == float(value)


def value_at(config: Config, key: str) -> object:
    node = config
    for part in key.split('.'):
        node = node[int(part)] if part.isdigit() else node[part]
    return node


@pytest.mark.parametrize('example', [example for example, where in ROWS if not where])
def test_an_example_is_taken_by_a_staged_config(example: str, tmp_path: Path) -> None:
    load_experiment(STAGED, tmp_path, cfg_options=[example])


@pytest.mark.parametrize('example', [example for example, _ in ROWS if example.startswith('model.')])
def test_an_example_builds_its_model(example: str) -> None:
    MODELS.build(load_config(PLAIN, [example]).model)


def test_every_row_is_read() -> None:
    page = (REPOSITORY / 'docs' / 'config_keys.md').read_text(encoding='utf-8')
    rows = [line for line in page.splitlines() if line.startswith('| ') and not line.startswith(('| what', '| ---'))]
    assert len(ROWS) == len(rows)
