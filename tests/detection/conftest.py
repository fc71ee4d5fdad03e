"""Without mmdetection and mmcv's compiled operations, nothing here is even imported."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from mitouts.errors import ConfigError
from mitouts.models.detectors.detector_localizer import need_detection


@functools.cache
def _why_not() -> str | None:
    try:
        need_detection()
    except ConfigError as error:
        return str(error)
    return None


class _SkippedModule(pytest.Module):
    def collect(self):
        pytest.skip(_why_not())


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    return _SkippedModule.from_parent(parent, path=module_path) if _why_not() else None
