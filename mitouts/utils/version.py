"""Returns the version of the running code."""

from __future__ import annotations

import subprocess
from functools import lru_cache
from pathlib import Path

import mitouts


def git_commit() -> str:
    """Return the short hash of the checkout, with ``-dirty`` for local changes; ``none`` outside git."""
    folder = Path(mitouts.__file__).resolve().parent.parent
    command = ['git', '-C', str(folder), 'describe', '--always', '--dirty', '--exclude=*']
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return 'none'


@lru_cache(maxsize=1)
def code_version() -> str:
    """Return version and commit in one word, as they were at the first call."""
    return f'{mitouts.__version__}+{git_commit()}'
