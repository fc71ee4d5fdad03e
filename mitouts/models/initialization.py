"""Initializes the parts of a model."""

from __future__ import annotations

from typing import Any

from torch import nn


def init_children(module: nn.Module) -> None:
    """Call ``init_weights`` of every part that has one, and leave it to initialize its own parts.

    mmengine's own initialization would write a line for every single parameter into the log.
    """
    for child in module.children():
        if hasattr(child, 'init_weights'):
            _init_quietly(child)
        else:
            init_children(child)


def _init_quietly(module: Any) -> None:
    module._dump_init_info = lambda *args: None
    try:
        module.init_weights()
    finally:
        del module._dump_init_info
