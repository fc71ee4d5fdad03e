"""Runs a function in two real processes that talk over gloo, and says how each of them ended."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

LIMIT_S = 60.0


class End(NamedTuple):
    """How a process ended.

    Attributes:
        value: What the function returned.
        error: What it raised: the name of the class, and the message.
    """

    value: Any = None
    error: tuple[str, str] | None = None


def in_two_processes(function: Callable[[int], Any], folder: Path) -> list[End | None]:
    """Call ``function(rank)`` in two processes.

    Args:
        function: What is called; it may be a closure.
        folder: Where the processes find each other.

    Returns:
        One end a rank; None for a process that has vanished without an answer.

    Raises:
        AssertionError: A process is still running after a minute.
    """
    context = multiprocessing.get_context('fork')
    meeting = folder / f'gloo_{time.monotonic_ns()}'
    pipes = [context.Pipe(duplex=False) for _ in range(2)]
    processes = [
        context.Process(target=_work, args=(function, rank, meeting, pipes[rank][1]), daemon=True) for rank in range(2)
    ]
    for process, (_, sender) in zip(processes, pipes):
        process.start()
        sender.close()
    limit = time.monotonic() + LIMIT_S
    ends = []
    for receiver, _ in pipes:
        if not receiver.poll(max(limit - time.monotonic(), 0)):
            for process in processes:
                process.kill()
            raise AssertionError(f'a process waits for the other after {LIMIT_S} s')
        try:
            ends.append(receiver.recv())
        except EOFError:
            ends.append(None)
    for process in processes:
        process.join(LIMIT_S)
    return ends


def _work(function: Callable[[int], Any], rank: int, meeting: Path, sender: Any) -> None:
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), WORLD_SIZE='2', LOCAL_RANK=str(rank), OMP_NUM_THREADS='1', MKL_NUM_THREADS='1')
    torch.distributed.init_process_group('gloo', init_method=f'file://{meeting}', rank=rank, world_size=2)
    try:
        sender.send(End(value=function(rank)))
    except Exception as error:
        sender.send(End(error=(type(error).__name__, str(error))))
    # As a process ends that could not go on: without a word to the other.
    os._exit(0)
