# PYTHON_ARGCOMPLETE_OK
"""``python -m mitouts``, the same as ``mitouts``."""

from mitouts.commands.main import main

if __name__ == '__main__':
    main()
