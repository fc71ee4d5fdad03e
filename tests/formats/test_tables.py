"""Tables as people and programs write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mitouts.formats.tables import read_table


@pytest.mark.parametrize('separator', [',', ';', '\t'])
def test_comments_stand_above_the_header_and_a_column_may_be_called_by_their_sign(tmp_path: Path, separator) -> None:
    lines = ['# made by: hand', '#again', f'#{separator}slide', f'1{separator}a#1.tif', f'#2{separator}b.tif']
    (tmp_path / 't.csv').write_text('\n'.join(lines))
    table = read_table(tmp_path / 't.csv')
    assert table.names == ['#', 'slide']
    assert table.rows == [['1', 'a#1.tif'], ['#2', 'b.tif']]
    assert table.lines == [4, 5]
