from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from suite_runs import write_suite

Call = Callable[..., tuple[int, str, str]]

TOOL = 'tables'
SPEC = """
suites: [SUITE]
num_bootstrap: 100
blocks:
  - {name: methods, kind: methods, rows: [noise30/student=Student, noise30/control=Undistilled]}
  - {name: primary, kind: compare, comparisons: [{a: noise30/student, b: noise30/control, oracle: noise30/oracle}]}
  - {name: distillation, kind: distillation, groups: [noise30], rows: [distill, random_drop]}
"""
PAGE = '# Results\n' + ''.join(
    f'<!-- table: {name} -->\noutdated\n<!-- end -->\ntext\n' for name in ('methods', 'primary', 'distillation')
)


@pytest.fixture(scope='module')
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_suite(tmp_path_factory.mktemp('suite'), num_images=12)


@pytest.fixture
def spec(suite: Path, tmp_path: Path) -> Path:
    path = tmp_path / 'tables.yaml'
    path.write_text(SPEC.replace('SUITE', str(suite)))
    return path


def test_markdown_goes_to_stdout_and_what_is_missing_to_stderr(call: Call, suite: Path) -> None:
    rows = ('noise30/student=Student', 'aggregators/model')
    code, out, err = call(TOOL, suite, '--rows', *rows, '--num-bootstrap', 50, '--protocol', 'presence')
    assert code == 0
    assert out.startswith('| Method | Runs |')
    assert '| Student | 3 of 4 |' in out
    assert 'presence' in out
    assert err == (
        'warning: 1 of 11 runs are not done: noise30/fold1_seed1 (failed: TrainingError: the loss is nan in epoch 2)\n'
    )


def test_csv_into_a_file(call: Call, suite: Path, tmp_path: Path) -> None:
    out = tmp_path / 'new' / 'table.csv'
    arguments = ('--compare', 'noise30/student', 'noise30/control', '--format', 'csv', '--out', out)
    code, _, _ = call(TOOL, suite, *arguments, '--num-bootstrap', 50)
    assert code == 0
    header, row = csv.reader(line for line in out.read_text().splitlines() if not line.startswith('#'))
    found = dict(zip(header, row))
    assert found['A against B'] == 'noise30/student against noise30/control'
    assert float(found['A - B low']) <= float(found['A - B']) <= float(found['A - B high'])


def test_latex(call: Call, suite: Path) -> None:
    recovered = ('noise30/student', 'noise30/control', 'noise30/oracle')
    code, out, _ = call(TOOL, suite, '--recovered', *recovered, '--format', 'latex', '--num-bootstrap', 50)
    assert code == 0
    assert out.startswith('\\begin{tabular}{lrrrrrrrr}\n\\toprule\n')
    assert 'Recovered [95\\%] \\\\' in out


def test_a_spec_fills_the_whole_page_and_the_same_again(call: Call, spec: Path, tmp_path: Path) -> None:
    page = tmp_path / 'results.md'
    page.write_text(PAGE)
    code, out, _ = call(TOOL, '--spec', spec, '--into', page)
    text = page.read_text()
    assert (code, out) == (0, f'{page}: 3 tables written\n')
    assert 'outdated' not in text
    assert text.count('text\n') == 3
    assert '| Undistilled |' in text
    assert '| noise30, random_drop |' in text
    call(TOOL, '--spec', spec, '--into', page)
    assert page.read_text() == text


def test_one_block_of_a_spec(call: Call, spec: Path, tmp_path: Path) -> None:
    page = tmp_path / 'results.md'
    page.write_text(PAGE)
    assert call(TOOL, '--spec', spec, '--into', page, '--block', 'primary')[0] == 0
    assert page.read_text().count('outdated') == 2


def test_a_page_may_be_several_files(call: Call, spec: Path, tmp_path: Path) -> None:
    first, second = tmp_path / 'a.md', tmp_path / 'b.md'
    middle = PAGE.index('<!-- table: primary')
    first.write_text(PAGE[:middle])
    second.write_text(PAGE[middle:])
    assert call(TOOL, '--spec', spec, '--into', first, second)[0] == 0
    assert 'outdated' not in first.read_text() + second.read_text()


def test_tables_of_the_command_line_into_a_page(call: Call, suite: Path, tmp_path: Path) -> None:
    page = tmp_path / 'results.md'
    page.write_text('<!-- table: x -->\n<!-- end -->\n')
    arguments = ('--distillation', 'noise30/distill=Distillation', '--into', page, '--block', 'x')
    assert call(TOOL, suite, *arguments)[0] == 0
    assert page.read_text().startswith('<!-- table: x -->\n| Distillation | Runs |')


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('<!-- table: primary -->', '', 'no marker for primary: add a line <!-- table: primary -->'),
        ('# Results', '<!-- table: more -->\n<!-- end -->', 'no block for the marker more'),
        ('<!-- end -->', '', 'expected the markers'),
    ],
)
def test_a_page_that_does_not_fit_the_spec_stays_as_it_is(
    call: Call, spec: Path, tmp_path: Path, old: str, new: str, message: str
) -> None:
    page = tmp_path / 'results.md'
    page.write_text(PAGE.replace(old, new))
    before = page.read_text()
    code, _, err = call(TOOL, '--spec', spec, '--into', page)
    assert code == 2
    assert err.startswith('error: ')
    assert message in err
    assert page.read_text() == before


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['SUITE'], 'nothing to make'),
        (['SUITE', '--rows', 'noise30/studnet'], "no stage 'studnet' in group 'noise30'"),
        (['SUITE', '--rows', 'student'], 'expected GROUP/STAGE'),
        (['SUITE', '--rows', 'a/b', '--into', 'x.md'], '--into needs --block'),
        (['SUITE', '--rows', 'a/b', '--block', 'x'], 'give --into'),
        (['SUITE', '--rows', 'a/b', '--into', 'x.md', '--block', 'x', '--format', 'csv'], 'leave out --format'),
        (['--rows', 'a/b'], 'no suite given'),
        (['nowhere', '--rows', 'a/b'], 'nowhere: no such folder'),
        (['--spec', 'SPEC', '--rows', 'a/b'], '--rows and --spec exclude each other'),
        (['--spec', 'SPEC', '--block', 'other'], "has no block 'other'; it has methods, primary, distillation"),
    ],
)
def test_bad_input_is_one_line(call: Call, suite: Path, spec: Path, arguments: list[str], message: str) -> None:
    given = [{'SUITE': str(suite), 'SPEC': str(spec)}.get(word, word) for word in arguments]
    code, out, err = call(TOOL, *given)
    assert (code, out, err.count('\n')) == (2, '', 1)
    assert err.startswith('error: ')
    assert message in err


def test_annotation_files_are_found_from_another_folder(
    call: Call, suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = suite / 'aggregators' / 'seed0' / 'results.json'
    home = suite.parents[1]
    before = path.read_text()
    path.write_text(before.replace(str(home / 'data'), 'data'))
    monkeypatch.chdir(tmp_path)
    try:
        code, _, err = call(TOOL, suite, '--rows', 'aggregators/model')
        assert (code, 'no such file' in err) == (2, True)
        code, _, _ = call(TOOL, suite, '--rows', 'aggregators/model', '--root', home)
        assert code == 0
    finally:
        path.write_text(before)
