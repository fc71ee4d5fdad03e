from mitouts.commands.join_frames import main
from mitouts.utils.cli import run

if __name__ == '__main__':
    run(main)
