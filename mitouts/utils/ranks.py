"""Shares one process's result with all processes of a distributed run, and stops all of them when one fails."""

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
    """Call a function in the main process alone, and return its result in all processes.

    Args:
        compute: Function to call. Its result must be picklable, and it must not communicate between processes.

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
    """Wait for all processes at the end of the block, and raise an error in all of them if the block failed in one.

    Without it the others would wait for the failed process at their next communication. Code inside the block must not
    communicate: if a process failed half-way, the others would wait there forever.

    Raises:
        MitoutsError: Another process failed; the class is that of its error if it is one of this package's errors.
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
    """Raise an error in all processes if one of them has failed; all must call this function.

    If nothing has failed, it costs one reduction of a number.

    Args:
        failure: Exception of this process; None if it has not failed.

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
    """Replace the error of a lost connection to a process that has ended by one in plain words.

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
    """Return the class name in :mod:`mitouts.errors` and the message of the error that other processes raise."""
    if failure is None:
        return None
    for kind in type(failure).__mro__:
        if getattr(errors, kind.__name__, None) is kind:
            return kind.__name__, str(failure)
    name = '' if isinstance(failure, OSError) else f'{type(failure).__name__}: '
    return MitoutsError.__name__, f'{name}{failure}'
