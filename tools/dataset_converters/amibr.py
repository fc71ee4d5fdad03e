"""Convert a foreign data set, as `mitouts convert amibr` does."""

from functools import partial

from mitouts.commands.convert import run_converter
from mitouts.utils.cli import run

main = partial(run_converter, 'amibr')

if __name__ == '__main__':
    run(main)
