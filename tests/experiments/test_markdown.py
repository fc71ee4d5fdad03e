from __future__ import annotations

import pytest

from mitouts.errors import MitoutsError
from mitouts.experiments.markdown import marked_names, replace_block

PAGE = """# Results
<!-- table: a -->
old
<!-- end -->
```text
<!-- table: quoted -->
<!-- table: b -->
<!-- end -->
```
<!-- results: c -->
<!-- end -->
<!-- table: b --><!-- end -->
tail
"""


def test_names_of_a_kind_without_those_in_code_blocks() -> None:
    assert marked_names(PAGE, 'table') == ['a', 'b']
    assert marked_names(PAGE, 'results') == ['c']


def test_only_the_named_part_changes() -> None:
    assert replace_block(PAGE, 'a', '\nnew\n', kind='table') == PAGE.replace('old', 'new')
    assert replace_block(PAGE, 'b', 'new', kind='table') == PAGE.replace(
        '<!-- table: b --><!-- end -->', '<!-- table: b -->\nnew\n<!-- end -->'
    )


def test_replacing_twice_changes_nothing() -> None:
    once = replace_block(PAGE, 'c', 'new', kind='results')
    assert replace_block(once, 'c', 'new', kind='results') == once


@pytest.mark.parametrize('page', ['', '<!-- table: a -->', '<!-- end --> <!-- table: a -->'])
def test_missing_markers_are_named(page: str) -> None:
    with pytest.raises(MitoutsError, match='expected the markers'):
        replace_block(page, 'a', 'new', kind='table')


def test_a_part_that_is_not_ended_does_not_swallow_the_next_one() -> None:
    page = '<!-- table: a -->\n<!-- table: b -->\n<!-- end -->\n'
    with pytest.raises(MitoutsError, match="is not ended before '<!-- table: b -->' begins"):
        replace_block(page, 'a', 'new', kind='table')
