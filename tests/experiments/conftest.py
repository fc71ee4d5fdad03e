"""A suite that the tests of this folder read and never change."""

from __future__ import annotations

from pathlib import Path

import pytest
from suite_runs import write_suite


@pytest.fixture(scope='session')
def suite_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_suite(tmp_path_factory.mktemp('suite'))
