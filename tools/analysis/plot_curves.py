from mitouts.commands.plot.curves import main
from mitouts.utils.cli import run

if __name__ == '__main__':
    run(main)
