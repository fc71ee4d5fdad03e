from __future__ import annotations

from pathlib import Path

import pytest

from mitouts.errors import ConfigError
from mitouts.experiments.methods import ScoreSettings
from mitouts.experiments.rows import TableRow
from mitouts.experiments.spec import read_spec

SPEC = """
suites: [work_dirs/fields]
radius_px: 20
blocks:
  - name: primary
    kind: compare
    num_bootstrap: 500
    comparisons:
      - {a: noise30/student, b: noise30/control, oracle: noise30/oracle, label: Distilled}
      - {a: noise30/student, b: noise30/random}
  - name: methods
    kind: methods
    title: All
    rows:
      - noise30/teacher=Teacher
      - {row: noise30/student, label: Student, minutes: [teacher, distill, student]}
  - name: levels
    kind: methods
    groups: {noise00: none, noise15: 15%}
    rows: [student=Student, control]
  - name: by_level
    kind: compare
    groups: [noise15, noise30]
    comparisons: [{a: student, b: control}]
  - {name: others, kind: literature, columns: [Method, F1], entries: [[SegMitos, 0.669]], source: Table 1}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / 'tables.yaml'
    path.write_text(text)
    return path


def test_a_spec_is_read(tmp_path: Path) -> None:
    spec = read_spec(write(tmp_path, SPEC))
    primary, methods, levels, by_level, others = spec.blocks
    assert spec.suites == ('work_dirs/fields',)
    assert primary.settings == ScoreSettings(radius_px=20, num_bootstrap=500)
    assert [each.label for each in primary.comparisons] == ['Distilled', 'noise30/student against noise30/random']
    assert primary.comparisons[0].oracle == TableRow('noise30', 'oracle', 'noise30/oracle')
    assert primary.comparisons[1].oracle is None
    assert methods.title == 'All'
    assert methods.rows[1] == TableRow('noise30', 'student', 'Student', ('teacher', 'distill', 'student'))
    assert [(row.source, row.label) for row in levels.rows] == [
        ('noise00/student', 'none, Student'),
        ('noise00/control', 'none, control'),
        ('noise15/student', '15%, Student'),
        ('noise15/control', '15%, control'),
    ]
    assert [each.label for each in by_level.comparisons] == [
        'noise15, student against control',
        'noise30, student against control',
    ]
    assert others.published['entries'] == [['SegMitos', 0.669]]


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('radius_px: 20', 'radius: 20', "the file has the unknown key 'radius'; the nearest is 'radius_px'"),
        ('num_bootstrap: 500', 'num_bootstrap: 0', "block 'primary': num_bootstrap must be a positive number, found 0"),
        ('num_bootstrap: 500', 'protocol: both', "block 'primary': protocol is one of one_to_one, presence"),
        ('kind: methods\n    title', 'kind: method\n    title', 'block 2 needs a name and a kind out of methods'),
        ('name: levels', 'name: methods', "two blocks are called 'methods'"),
        ('noise30/teacher=Teacher', 'teacher', "block 'methods': expected GROUP/STAGE"),
        ('label: Student, min', 'name: Student, min', "unknown key 'name'"),
        ('[{a: student, b: control}]', '[{a: student}]', 'a comparison has a, b and perhaps oracle'),
        ('rows: [student=Student, control]', 'rows: student', 'expected a list of lines'),
        ('rows: [student=Student, control]', 'row: []', "unknown key 'row'; the nearest is 'rows'"),
        ('[[SegMitos, 0.669]]', '[[SegMitos]]', 'every line of entries needs 2 cells'),
        (', source: Table 1', '', r"block 'others' \(literature\) lacks source"),
        ('blocks:', 'blocks: {}\nrest:', "expected a mapping with 'blocks'"),
        ('blocks:', 'blocks: [', 'not YAML'),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in SPEC
    with pytest.raises(ConfigError, match=message):
        read_spec(write(tmp_path, SPEC.replace(old, new)))


def test_the_example_of_the_docs_is_a_spec(tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / 'docs' / 'analysis.md').read_text(encoding='utf-8')
    example = page.partition('### A whole page')[2].partition('```yaml\n')[2].partition('```')[0]
    spec = read_spec(write(tmp_path, example))
    assert [block.kind for block in spec.blocks] == ['compare', 'methods', 'methods', 'distillation']
    assert [row.source for row in spec.blocks[3].rows] == ['noise15/distill', 'noise30/distill']


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'tables\.yaml: no such file'):
        read_spec(tmp_path / 'tables.yaml')
