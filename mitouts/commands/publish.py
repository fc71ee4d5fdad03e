"""Reduce a checkpoint to weights and meta, loadable with weights_only=True."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path

from mitouts.utils.arguments import add_checkpoint


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_checkpoint(parser, 'checkpoint', help='checkpoint of a training')
    parser.add_argument('out', help='file to write; eight digits of its hash go before the suffix')
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    args = build_parser().parse_args(argv)

    from mitouts.checkpoint import publish, read_checkpoint, write_checkpoint

    out = Path(args.out)
    write_checkpoint(out, publish(read_checkpoint(args.checkpoint), args.checkpoint))
    digest = hashlib.sha256(out.read_bytes()).hexdigest()[:8]
    final = out.with_name(f'{out.stem}-{digest}{out.suffix or ".pth"}')
    out.replace(final)
    print(f'{final} ({final.stat().st_size / 2**20:.1f} MiB)')
