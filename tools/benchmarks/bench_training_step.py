"""Seconds of a training step: our EfficientNet-Lite0 localizer against the package it is cut from, used as it comes.

    python tools/benchmarks/bench_training_step.py [--batch-size 16] [--size-px 240] [--repeats 5]

Each variant runs in a process of its own, since how freed memory is kept cannot be undone. Reported is the median step
and its ratio to the plain one: the package's blocks (padding computed for a fixed size, contiguous memory, nothing
frozen, the C library's defaults), the same number of blocks, head and loss.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import nn

from mitouts.registry import MODELS
from mitouts.utils.cli import run
from mitouts.utils.memory import keep_freed_memory

BLOCKS = 8
VARIANTS = {
    'plain': {},
    'channels-last': {'channels_last': True},
    '+ freed memory kept': {'channels_last': True, 'keep_memory': True},
    '+ stem and stride 4 frozen (the config)': {'channels_last': True, 'keep_memory': True, 'frozen_stages': 2},
    '+ stride 8 frozen': {'channels_last': True, 'keep_memory': True, 'frozen_stages': 3},
    '+ what is frozen in bfloat16 (the suites)': {
        'channels_last': True,
        'keep_memory': True,
        'frozen_stages': 3,
        'frozen_dtype': 'bfloat16',
    },
}


class Plain(nn.Module):
    """The package's blocks and a 1 x 1 classifier with max aggregation."""

    def __init__(self) -> None:
        super().__init__()
        full = EfficientNet.from_name('efficientnet-lite0')
        self.body = nn.Sequential(full._conv_stem, full._bn0, nn.ReLU6(), *full._blocks[:BLOCKS])
        self.classifier = nn.Conv2d(80, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.body(x)).amax(dim=(1, 2, 3))


def build(channels_last: bool = False, **frozen: object) -> nn.Module:
    backbone = dict(type='EfficientNetLite', num_blocks=BLOCKS, weights=None, **frozen)
    head = dict(type='InstanceHead', aggregator=dict(type='MaxAggregator'))
    preprocessor = dict(type='PointDataPreprocessor', channels_last=channels_last)
    return MODELS.build(dict(type='WSSLocalizer', backbone=backbone, head=head, data_preprocessor=preprocessor))


def measure(name: str, args: argparse.Namespace) -> float:
    options = dict(VARIANTS[name])
    if options.pop('keep_memory', False):
        keep_freed_memory()
    images = torch.randint(0, 255, (args.batch_size, 3, args.size_px, args.size_px), dtype=torch.uint8)
    labels = torch.arange(args.batch_size) % 2
    model = Plain() if name == 'plain' else build(**options)
    prepare = build().data_preprocessor if name == 'plain' else model.data_preprocessor
    model.train()
    seconds = []
    for _ in range(args.repeats + 1):
        begin = time.perf_counter()
        inputs = prepare({'inputs': images})['inputs']
        logits = model(inputs) if name == 'plain' else model(inputs).image_logit
        nn.functional.binary_cross_entropy_with_logits(logits, labels.float()).backward()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--batch-size', type=int, default=16)
    parser.add_argument('--size-px', type=int, default=240)
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--variant', choices=VARIANTS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.variant:
        print(json.dumps(measure(args.variant, args)))
        return
    arguments = ['--batch-size', str(args.batch_size), '--size-px', str(args.size_px), '--repeats', str(args.repeats)]
    results = {}
    for name in VARIANTS:
        command = [sys.executable, __file__, '--variant', name, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        results[name] = float(done.stdout.splitlines()[-1])
        ratio = results['plain'] / results[name]
        print(
            f'{name:42s} {results[name]:.3f} s a step, {args.batch_size / results[name]:5.1f} images/s, {ratio:.2f} x'
        )


if __name__ == '__main__':
    run(main)
