"""Shares one process's result with all of a distributed run, and ends all together when one of them fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from mmengine.dist import all_gather_object, all_reduce, broadcast_object_list, get_world_size, is_main_process

from mitouts import errors
from mitouts.errors import MitoutsError, TrainingError

Result = TypeVar('Result')


def on_main_process(compute: Callable[[], Result]) -> Result:
    """Call a function in the main process alone, and hand what it returns to all processes.

    Args:
        compute: What it returns must be picklable. It must not communicate.

    Returns:
        The same in every process.

    Raises:
        MitoutsError: As for :func:`together`, where the function raises.
    """
    result: list[Any] = [None]
    with together():
        if is_main_process():
            result[0] = compute()
    with peers_explained():
        broadcast_object_list(result)
    value: Result = result[0]
    return value


@contextmanager
def together() -> Iterator[None]:
    """Wait for all processes at the end of the block, and raise in each of them what one has raised in it.

    Without it the others would wait for the one that failed, at the next thing that they do in common. Nothing inside
    the block may communicate: a process that fails half-way would leave the others there.

    Raises:
        MitoutsError: Another process failed; of the same class as its error where that is one of ours.
    """
    if get_world_size() == 1:
        yield
        return
    failure: Exception | None = None
    try:
        yield
    except Exception as error:  # whatever it is, it is raised below
        failure = error
    share_failure(failure)


def share_failure(failure: Exception | None) -> None:
    """Raise in all processes when one of them has failed; all must call it.

    It costs one reduction of a number while nothing has failed.

    Args:
        failure: What this process has to raise; None if nothing.

    Raises:
        MitoutsError: As for :func:`together`.
    """
    if get_world_size() > 1:
        with peers_explained():
            flag = torch.tensor([float(failure is not None)])
            all_reduce(flag, op='max')
            reports = all_gather_object(_report(failure)) if flag.item() else []
        failed = [rank for rank, report in enumerate(reports) if report is not None]
        if failed and failure is None:
            name, message = reports[failed[0]]
            raise getattr(errors, name)(f'process {failed[0] + 1} of {len(reports)} failed: {message}')
    if failure is not None:
        raise failure


@contextmanager
def peers_explained() -> Iterator[None]:
    """Say it in plain words when a process ended while this one talked to it.

    Raises:
        TrainingError: The connection is lost.
    """
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.distributed.DistError) or 'gloo' in str(error):
            raise TrainingError('another process of this run has ended, its own message says why') from error
        raise


def _report(failure: Exception | None) -> tuple[str, str] | None:
    """Name of the class in :mod:`mitouts.errors` that other processes raise for a failure, and their message."""
    if failure is None:
        return None
    for kind in type(failure).__mro__:
        if getattr(errors, kind.__name__, None) is kind:
            return kind.__name__, str(failure)
    name = '' if isinstance(failure, OSError) else f'{type(failure).__name__}: '
    return MitoutsError.__name__, f'{name}{failure}'
