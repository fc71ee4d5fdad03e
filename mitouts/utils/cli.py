"""Runs commands, and ends them with their exit code or with one line that says what went wrong."""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import re
import select
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

from mitouts.errors import MitoutsError

FAILED = 2
INTERRUPTED = 130
"""Exit code that a shell reports for a process ended by SIGINT."""
READER_GONE = 141
"""Exit code that a shell reports for a process ended by SIGPIPE."""
SHOW_TRACEBACK = 'MITOUTS_TRACEBACK'


def run(main: Callable[[], int | None]) -> None:
    """Call ``main`` and exit with its code; any exception becomes one line on stderr and exit code 2.

    Errors that the package raises say what to do. Any other exception is a bug, and the line says so: the traceback is
    saved in a file. ``MITOUTS_TRACEBACK=1`` in the environment lets every traceback through.
    """
    warnings.showwarning = _show_warning
    try:
        code = main() or 0
        sys.stdout.flush()
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        code = INTERRUPTED
    except Exception as error:
        is_reader_gone = isinstance(error, BrokenPipeError) and _reader_is_gone()
        _drop_unwritable_output()
        if is_reader_gone:
            _end(READER_GONE)
        if os.environ.get(SHOW_TRACEBACK):
            raise
        print(f'error: {describe(error)}', file=sys.stderr)
        code = FAILED
    _end(code)


def _end(code: int) -> None:
    """Exit with a code; a process of a distributed run skips Python's finalization.

    Otherwise a thread of gloo that releases its last tensor while the interpreter shuts down would abort the process,
    after everything has been written.
    """
    distributed = sys.modules.get('torch.distributed')
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        sys.exit(code)
    # Leaves the process group, among other things.
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def describe(error: Exception) -> str:
    """Describe in one line what went wrong and what to do; the traceback of a bug is saved in a file."""
    if isinstance(error, MitoutsError):
        return _one_line(error)
    if _is_out_of_memory(error):
        return f'the memory is not enough ({_one_line(error)}): use smaller batches or tiles, and fewer workers'
    if isinstance(error, ImportError) and 'libGL' in str(error):
        return (
            f'OpenCV cannot be loaded ({_one_line(error)}): pip uninstall opencv-python, then pip install '
            '--force-reinstall --no-deps opencv-python-headless, which needs no display'
        )
    if isinstance(error, OSError):
        return _describe_os_error(error)
    return (
        f'unexpected {type(error).__name__} at {_place(error)}: {_one_line(error)} (a fault of the program, which '
        f'should have said what to do: please report it with {_keep_traceback(error)})'
    )


def _one_line(error: Exception) -> str:
    text = str(error)
    if 'Original Traceback' in text:
        # A data loader puts the whole traceback of its worker into the message.
        raised = re.findall(r'^[A-Za-z_][\w.]*: (.*(?:\n.*)*)\Z', text.rsplit('\n  File ', 1)[-1], flags=re.MULTILINE)
        text = raised[-1] if raised else text.splitlines()[-1]
    return ' '.join(text.split()) or type(error).__name__


def _is_out_of_memory(error: Exception) -> bool:
    # What torch, OpenCV and a killed worker raise are RuntimeErrors and the like.
    return isinstance(error, MemoryError) or bool(
        re.search(
            r"out of memory|can't allocate memory|insufficient memory|is killed by signal: Killed", str(error), re.I
        )
    )


def _describe_os_error(error: OSError) -> str:
    name = '' if error.filename is None else str(error.filename)
    at = f'{name}: ' if name else ''
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f'{at}no space is left on the disk: make room and start again'
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f'{at}permission denied: check the rights of the file and its folder, or name another'
    if not name or not error.strerror:
        return _one_line(error)
    return f'{at}{error.strerror[0].lower()}{error.strerror[1:]}'


def _place(error: Exception) -> str:
    """Return the file and line of the program's own code where an error was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if {'mitouts', 'tools'} & {*Path(frame.filename).parts}] or list(frames)
    return f'{Path(own[-1].filename).name}:{own[-1].lineno}' if own else 'an unknown place'


def _keep_traceback(error: Exception) -> str:
    text = ''.join(traceback.format_exception(error))
    try:
        with tempfile.NamedTemporaryFile('w', prefix='mitouts_', suffix='.txt', delete=False, encoding='utf-8') as file:
            file.write(text)
    except OSError:
        return f'the traceback, which {SHOW_TRACEBACK}=1 in the environment shows'
    return f'the traceback in {file.name}'


def _reader_is_gone() -> bool:
    """Tell whether the reader of stdout has gone, as after ``| head``."""
    try:
        descriptor = sys.stdout.fileno()
    except OSError:
        return False
    watched = select.poll()
    watched.register(descriptor, 0)
    return any(event & select.POLLERR for _, event in watched.poll(0))


def _drop_unwritable_output() -> None:
    """Discard output that cannot be written to stdout, about which the interpreter would complain at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    print(f'warning: {message}', file=file or sys.stderr)
