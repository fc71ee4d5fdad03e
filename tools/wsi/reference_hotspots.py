from mitouts.commands.reference_hotspots import main
from mitouts.utils.cli import run

if __name__ == '__main__':
    run(main)
