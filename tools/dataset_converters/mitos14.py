"""Convert a foreign data set, as `mitouts convert mitos14` does."""

from functools import partial

from mitouts.commands.convert import run_converter
from mitouts.utils.cli import run

main = partial(run_converter, 'mitos14')

if __name__ == '__main__':
    run(main)
