"""Runs the parts of a suite as processes, several at once; skips what is done, and records what fails."""

from __future__ import annotations

import fcntl
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mitouts.engine.config import load_config
from mitouts.errors import AnnotationError, MitoutsError
from mitouts.experiments.suite import WRAPPER, SuiteRun
from mitouts.experiments.suite_results import RUN_FILE
from mitouts.formats.coco import read_json, write_json

LOCK_FILE = 'run.lock'
PREPARE_LOCK_FILE = 'prepare.lock'
LOG_FILE = 'log.txt'
ERROR_LINES = 3
LOOK_AGAIN_SECONDS = 0.2
INTERRUPTED = 'interrupted'

Report = Callable[[SuiteRun, str, str], None]


@dataclass
class SuiteRunner:
    """Runs a suite's parts.

    Attributes:
        folder: Folder of the suite.
        launcher: Words before ``-m mitouts train``: the interpreter, or ``torchrun`` and its arguments.
        arguments: Words after it, such as ``--launcher pytorch`` or ``--amp``.
        threads: ``OMP_NUM_THREADS`` of each process; None leaves the environment as it is.
        report: Called with a run, its outcome (``done``, ``skipped``, ``failed``, ``busy``) and a remark.
    """

    folder: Path
    launcher: Sequence[str] = (sys.executable,)
    arguments: Sequence[str] = ()
    threads: int | None = None
    report: Report = lambda run, what, remark: None
    _prepared: dict[tuple[str, ...], str | None] = field(default_factory=dict)
    _preparing: threading.Lock = field(default_factory=threading.Lock)
    _folders: dict[str, threading.Lock] = field(default_factory=dict)
    _failed: dict[str, str] = field(default_factory=dict)
    _children: set[subprocess.Popen[bytes]] = field(default_factory=set)
    _stopped: bool = False

    def run_all(self, runs: Sequence[SuiteRun], jobs: int = 1) -> dict[str, int]:
        """Run them, ``jobs`` at once.

        Returns:
            How many were ``done``, ``skipped``, ``failed`` and ``busy`` (another process is at it).
        """
        counts = dict.fromkeys(('done', 'skipped', 'failed', 'busy'), 0)
        with ThreadPoolExecutor(jobs) as pool:
            try:
                for what in pool.map(self.run_one, runs):
                    counts[what] += 1
            except BaseException:
                self._stopped = True
                pool.shutdown(wait=False, cancel_futures=True)
                for child in list(self._children):
                    child.terminate()
                raise
        return counts

    def run_one(self, run: SuiteRun) -> str:
        """Run one part, and return its outcome."""
        # Entries that share a folder wait for each other; only another process is "busy".
        with self._folders.setdefault(run.name, threading.Lock()):
            try:
                what, remark = self._run_in(self.folder / run.group / run.folder_name, run)
            except OSError as error:
                what, remark = 'failed', str(error)
        self.report(run, what, remark)
        return what

    def _run_in(self, folder: Path, run: SuiteRun) -> tuple[str, str]:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / LOCK_FILE) as lock:
            if lock is None:
                return 'busy', 'another process is at it'
            try:
                if is_finished(folder, run):
                    return 'skipped', 'done earlier'
                return self._work(run, folder, lock)
            except MitoutsError as error:
                minutes = _read(folder).get('minutes', 0.0)
                state = {**run.to_dict(), 'finished': {}, 'settings': {}, 'minutes': minutes}
                write_json(folder / RUN_FILE, {**state, 'status': 'failed', 'error': str(error)})
                return 'failed', str(error)

    def _work(self, run: SuiteRun, folder: Path, lock: int) -> tuple[str, str]:
        # What is trained is what the config says now, whatever is written there before it ends.
        entry, settings = run.entry, run.settings
        earlier = _read(folder)
        finished = _still_valid(earlier, run, settings)
        finished.pop(entry, None)
        state = {
            **run.to_dict(),
            'finished': finished,
            'settings': dict.fromkeys(finished, settings),
            'minutes': earlier.get('minutes', 0.0),
        }
        write_json(folder / RUN_FILE, {**state, 'status': 'running', 'error': None})
        begin = time.monotonic()
        error = self._prepare(run) or self._call(self.command(run, folder), folder / LOG_FILE, lock)
        minutes = (time.monotonic() - begin) / 60
        state['minutes'] += minutes
        if error is not None:
            self._failed[run.name] = error
            write_json(folder / RUN_FILE, {**state, 'status': 'failed', 'error': error})
            return 'failed', error
        finished[entry] = minutes
        state['settings'][entry] = settings
        failed = self._failed.get(run.name)
        write_json(folder / RUN_FILE, {**state, 'status': 'failed' if failed else 'done', 'error': failed})
        return 'done', f'{minutes:.1f} minutes'

    def command(self, run: SuiteRun, folder: Path) -> list[str]:
        """Return the command line that trains a run."""
        config = Path(run.config)
        if not load_config(config, data=run.data).get('stages'):
            # Absolute, because ".." does not lead back where work_dirs is a link to another disk.
            source = str(config.resolve())
            config = folder / WRAPPER
            config.write_text(f"stages = [dict(name='model', kind='train', config={source!r})]\n", encoding='utf-8')
        command = [*self.launcher, '-m', 'mitouts', 'train', str(config), '--work-dir', str(folder), '--resume']
        command += [] if run.data is None else ['--data', run.data]
        command += ['--stages', *run.stages] if run.stages else []
        return [*command, *self.arguments, '--cfg-options', *run.cfg_options]

    def _prepare(self, run: SuiteRun) -> str | None:
        """Run the commands that must come first, each once; returns the error to every run that needs it."""
        for command in run.prepare:
            with self._preparing:
                if command not in self._prepared:
                    self._prepared[command] = self._prepare_alone(command)
            error = self._prepared[command]
            if error is not None:
                return error if error == INTERRUPTED else f'{shlex.join(command)}: {error}'
        return None

    def _prepare_alone(self, command: tuple[str, ...]) -> str | None:
        """Run a command while no other process, such as another job, prepares anything for this suite."""
        words = [sys.executable if word == 'python' else word for word in command]
        while not self._stopped:
            with _locked(self.folder / PREPARE_LOCK_FILE) as lock:
                if lock is not None:
                    return self._call(words, self.folder / f'prepare_{len(self._prepared)}.txt', lock)
            time.sleep(LOOK_AGAIN_SECONDS)
        return INTERRUPTED

    def _call(self, words: Sequence[str], log: Path, lock: int) -> str | None:
        """Run a command and write its output to a log; returns None or what went wrong.

        The command holds the lock as well: if this process is killed while the command goes on, nothing else starts.
        """
        environment = dict(os.environ)
        if self.threads is not None:
            environment |= {'OMP_NUM_THREADS': str(self.threads), 'MKL_NUM_THREADS': str(self.threads)}
        with log.open('ab') as output:
            output.write(f'$ {shlex.join(words)}\n'.encode())
            output.flush()
            start = output.tell()
            try:
                child = subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    pass_fds=(lock,),
                )
            except OSError as error:
                return f'{words[0]}: {error.strerror}'
            self._children.add(child)
            if self._stopped:
                child.terminate()
            code = child.wait()
            self._children.discard(child)
        if code != 0 and self._stopped:
            return INTERRUPTED
        return None if code == 0 else f'exit code {code}: {last_lines(log, start)} (all of it: {log})'


def is_finished(folder: Path, run: SuiteRun) -> bool:
    """Whether this entry of the suite has been run to its end with the same settings."""
    state = _read(folder)
    return run.entry in state.get('finished', {}) and run.entry in _still_valid(state, run, run.settings)


def _still_valid(state: dict[str, Any], run: SuiteRun, settings: str) -> dict[str, float]:
    """Return the finished entries of a folder that were run with the present config and overrides."""
    if any(state.get(key) != value for key, value in run.to_dict().items() if key != 'suite'):
        return {}
    known = state.get('settings', {})
    return {entry: took for entry, took in state.get('finished', {}).items() if known.get(entry, settings) == settings}


def last_lines(log: Path, start: int) -> str:
    """Return the last non-empty lines of a log after position ``start``."""
    with log.open('rb') as file:
        file.seek(start)
        lines = [line.strip() for line in file.read().decode('utf-8', 'replace').splitlines()]
    return ' | '.join([line for line in lines if line][-ERROR_LINES:]) or 'it said nothing'


def _read(folder: Path) -> dict[str, Any]:
    path = folder / RUN_FILE
    try:
        state = read_json(path) if path.is_file() else {}
    except AnnotationError:
        return {}
    return state if isinstance(state, dict) else {}


@contextmanager
def _locked(path: Path) -> Iterator[int | None]:
    """Hold a lock, and yield its file descriptor; None if another process holds it. A dying process releases it."""
    with path.open('a') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        try:
            yield file.fileno()
        finally:
            # What a command has left behind, such as a worker on its way out, holds the lock as well.
            fcntl.flock(file, fcntl.LOCK_UN)
