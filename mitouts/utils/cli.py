"""How every tool ends: with its result, or with one line that says what to do."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable

from mitouts.errors import MitoutsError
from mitouts.registry import UnknownComponentError


def run(main: Callable[[], int | None]) -> None:
    """Call ``main`` and exit; errors a user can act on become one line on stderr and exit code 2.

    ``MITOUTS_TRACEBACK=1`` in the environment lets the traceback through.
    """
    warnings.showwarning = _show_warning
    try:
        sys.exit(main() or 0)
    except (MitoutsError, UnknownComponentError, OSError) as error:
        if os.environ.get('MITOUTS_TRACEBACK'):
            raise
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        sys.exit(130)


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    print(f'warning: {message}', file=file or sys.stderr)
