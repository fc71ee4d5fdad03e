"""Reads the scalars that mmengine has logged for a run as one history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from mitouts.errors import MitoutsError
from mitouts.utils.text_files import read_text

Entry = dict[str, Any]


def read_scalars(work_dir: str | Path) -> list[Entry]:
    """Merge the scalar logs of a run that may have been stopped and resumed.

    Each start of a run writes its own ``<work_dir>/<timestamp>/vis_data/scalars.json``, one JSON object a line. Where
    a later start trains again from an earlier step, what had been logged from that step on is replaced; of two values
    for the same step the later one wins.

    Args:
        work_dir: Work dir of one training.

    Returns:
        Training lines and validation lines (see :func:`is_training_line`), each in the order of their steps; training
        lines come first. Empty if there is no log.

    Raises:
        MitoutsError: A line other than the last of a file, which a killed run leaves unfinished, is no JSON object.
    """
    training: dict[int, Entry] = {}
    validation: dict[int, Entry] = {}
    for path in sorted(Path(work_dir).glob('*/vis_data/scalars.json')):
        entries = _read_lines(path)
        restart = next((entry for entry in entries if is_training_line(entry)), None)
        if restart is not None:
            training = {step: entry for step, entry in training.items() if step < restart['step']}
            redone = restart['epoch'] if 'epoch' in restart else restart['step']
            validation = {step: entry for step, entry in validation.items() if step < redone}
        for entry in entries:
            (training if is_training_line(entry) else validation)[entry['step']] = entry
    return [log[step] for log in (training, validation) for step in sorted(log)]


def is_training_line(entry: Entry) -> bool:
    """Whether a line was logged by training: those carry an iteration or a learning rate, validation lines do not."""
    return 'iter' in entry or 'lr' in entry or ('loss' in entry and not any('/' in key for key in entry))


def series(entries: list[Entry], key: str) -> tuple[np.ndarray, np.ndarray]:
    """Return steps and values ``(N,)`` of one key, where it is a number."""
    pairs = [(entry['step'], entry[key]) for entry in entries if is_finite_number(entry.get(key))]
    table = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def is_finite_number(value: Any) -> bool:
    """Whether ``value`` is a finite number and not a bool."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and bool(np.isfinite(value))


def _read_lines(path: Path) -> list[Entry]:
    lines = read_text(path).splitlines()
    entries = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines):
                break
            raise MitoutsError(f'{path}: line {number} is not JSON ({error}): remove the line') from error
        if not isinstance(entry, dict) or not is_finite_number(entry.get('step')):
            raise MitoutsError(f'{path}: line {number} has no "step": expected a line of mmengine\'s scalar log')
        entries.append(entry)
    return entries
