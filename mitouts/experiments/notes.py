"""Writes the notes below a table: how many runs it comes from, what is missing, and where they were made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mitouts.experiments.provenance import describe_environments
from mitouts.experiments.rows import RowRuns
from mitouts.experiments.suite_results import DONE, RunResult, describe_unfinished
from mitouts.utils.words import plural

_MOST_NAMES = 3


def runs_notes(lines: Sequence[RowRuns]) -> list[str]:
    """Write how many runs, seeds and folds the lines come from, and what is missing."""
    runs = distinct(run for line in lines for run in line.done)
    seeds, folds = {run.seed for run in runs}, {run.fold for run in runs if run.fold is not None}
    counted = f'{plural(len(runs), "run")} ({plural(len(seeds), "seed")}'
    notes = [f'{counted}, {plural(len(folds), "fold")}).' if folds else f'{counted}, no folds).']
    missing = distinct(run for line in lines for run in line.all if not run.is_done)
    if missing:
        notes.append(f'Not finished and not in the table: {describe_unfinished(missing, reasons=False)}.')
    begun = distinct(run for line in lines for run in line.done if run.status != DONE)
    if begun:
        notes.append(f'In the table with what is finished of them: {describe_unfinished(begun, reasons=False)}.')
    for line in {line.row.source: line for line in lines}.values():
        without = [run for run in line.all if run.is_done and run.key not in {run.key for run in line.done}]
        if without:
            notes.append(f'Without {line.row.stage}: {names_of(without)}.')
    for group in dict.fromkeys(line.row.group for line in lines):
        uneven = sorted({seed for line in lines if line.row.group == group for seed in line.uneven_seeds})
        if uneven:
            seeds_lack = f'{", ".join(map(str, uneven))} {"lacks" if len(uneven) == 1 else "lack"}'
            notes.append(f'{group}: seed{"" if len(uneven) == 1 else "s"} {seeds_lack} a fold.')
        configs = sorted({run.config for line in lines if line.row.group == group for run in line.done if run.config})
        if len(configs) > 1:
            notes.append(f'{group} mixes configs: {", ".join(configs)}.')
    return notes


def cases_note(counts: Iterable[int]) -> str:
    """Write the number of test cases of the lines; empty if there are none."""
    known = sorted({count for count in counts if count})
    if not known:
        return ''
    if len(known) == 1:
        return f'{plural(known[0], "test case")}.'
    return f'{known[0]} to {known[-1]} test cases.'


def environments_note(lines: Sequence[RowRuns]) -> str:
    """Write the machines and versions of the stages behind the lines."""
    stages = {(run.folder, line.row.stage): run for line in lines for run in line.done}
    return describe_environments([run.stage(stage).environment for (_, stage), run in stages.items()])


def distinct(runs: Iterable[RunResult]) -> list[RunResult]:
    """Remove duplicate runs, keeping their order."""
    return list({run.folder: run for run in runs}.values())


def names_of(runs: Sequence[RunResult]) -> str:
    """List the names of runs; if a group has many, give their number instead."""
    by_group: dict[str, list[str]] = {}
    for run in runs:
        by_group.setdefault(run.group, []).append(run.name)
    return ', '.join(
        ', '.join(names) if len(names) <= _MOST_NAMES else f'{len(names)} runs of {group}'
        for group, names in by_group.items()
    )


def sentences(notes: Iterable[str]) -> tuple[str, ...]:
    """Remove empty and repeated notes."""
    return tuple(dict.fromkeys(note for note in notes if note))
