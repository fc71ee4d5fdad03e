"""Reduce a checkpoint to weights and meta, loadable with weights_only=True."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

from mitouts.checkpoint import publish, read_checkpoint, write_checkpoint
from mitouts.utils.cli import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', help='checkpoint of a training')
    parser.add_argument('out', help='file to write; eight digits of its hash go before the suffix')
    args = parser.parse_args()
    out = Path(args.out)
    write_checkpoint(out, publish(read_checkpoint(args.checkpoint), args.checkpoint))
    digest = hashlib.sha256(out.read_bytes()).hexdigest()[:8]
    final = out.with_name(f'{out.stem}-{digest}{out.suffix or ".pth"}')
    out.replace(final)
    print(f'{final} ({final.stat().st_size / 2**20:.1f} MiB)')


if __name__ == '__main__':
    run(main)
