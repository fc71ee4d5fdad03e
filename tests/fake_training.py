"""Suites whose trainings take milliseconds: a folder with configs and a ``mitouts train`` that notes its words."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TRAIN = """
import json, os, pathlib, sys, time
words = sys.argv[2:]
folder = pathlib.Path(words[words.index('--work-dir') + 1])
begin, text = time.time(), ' '.join(words)


def fits(kind):
    path = pathlib.Path(kind)
    return path.is_file() and any(part in text for part in path.read_text().splitlines())


print('training', *words[:1])
if fits('wait'):
    (folder / 'waiting').write_text(str(os.getpid()))
    while not pathlib.Path('go').exists():
        time.sleep(0.01)
        if time.time() > begin + 60:
            sys.exit('nobody said go')
if fits('edit'):
    with open('staged.py', 'a') as file:
        file.write('# edited\\n')
call = dict(words=words, threads=os.environ.get('OMP_NUM_THREADS'), begin=begin, end=time.time())
with open(folder / 'calls.jsonl', 'a') as file:
    file.write(json.dumps(call) + '\\n')
if fits('fail'):
    print('step 1')
    print('')
    sys.exit('error: the loss is nan')
"""
STAGED = """
stages = [
    dict(name='teacher', kind='train', config='plain.py'),
    dict(name='distill', kind='distill', config='plain.py', model_from='teacher'),
    dict(name='student', kind='train', config='weak.py', data_from='distill'),
]
"""
FILES = {
    'mitouts/__init__.py': '',
    'mitouts/__main__.py': TRAIN,
    'base.py': 'randomness = dict(seed=0)\nlr = 0.1\n',
    'plain.py': "_base_ = ['base.py']\n",
    'weak.py': "_base_ = ['base.py']\nlr = 0.2\n",
    'staged.py': STAGED,
    'datasets/here.py': "where = 'here'\n",
    'datasets/there.py': "where = 'there'\n",
    'on_data.py': "_base_ = ['base.py', 'datasets/here.py']\n",
}


def write_configs(folder: Path) -> None:
    """Write ``plain.py``, ``staged.py``, ``on_data.py`` and what they need into a folder.

    Each line of a file ``fail``, ``wait`` or ``edit`` in it is a part of a command line: those trainings fail, wait for
    a file ``go``, or change ``staged.py`` while they run.
    """
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def calls(folder: Path) -> list[dict[str, Any]]:
    """What was trained in a run's folder: ``words``, ``threads``, ``begin`` and ``end`` of each."""
    path = folder / 'calls.jsonl'
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def wait_until(condition: Callable[[], Any], seconds: float = 30) -> None:
    """Return when the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, 'it did not happen in time'
        time.sleep(0.01)
