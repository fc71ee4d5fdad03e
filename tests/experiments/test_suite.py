"""Suites as YAML: what they expand to, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fake_training import write_configs

from mitouts.engine.stages import load_experiment
from mitouts.errors import ConfigError
from mitouts.experiments import suite as suite_module
from mitouts.experiments.suite import SuiteRun, read_suite_file
from mitouts.experiments.suite_runs import SuiteRunner

REPOSITORY = Path(__file__).resolve().parents[2]
# The folder holds the layout of tables as well.
SUITES = [
    path for path in sorted((REPOSITORY / 'configs' / 'suites').glob('*.yaml')) if '\ngroups:' in path.read_text()
]


@pytest.fixture(autouse=True)
def configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_configs(tmp_path)
    suite_module._settings.cache_clear()
    return tmp_path


def read(text: str, **variables: str) -> list[SuiteRun]:
    Path('suite.yaml').write_text(text)
    return read_suite_file('suite.yaml', variables)


def test_every_seed_and_fold_is_a_run_in_a_folder_of_its_own() -> None:
    runs = read('{name: s, seeds: [3, 4], folds: [0, 2], groups: [{name: g, config: staged.py}]}')
    assert [run.name for run in runs] == ['g/fold0_seed3', 'g/fold2_seed3', 'g/fold0_seed4', 'g/fold2_seed4']
    assert [(run.suite, run.config, run.stages, run.prepare) for run in runs] == [('s', 'staged.py', (), ())] * 4


def test_without_folds_a_folder_is_named_after_the_seed_which_is_0_by_default() -> None:
    assert [run.name for run in read('groups: [{name: g, config: plain.py}]')] == ['g/seed0']
    no_folds = read('{folds: [0, 1], groups: [{name: g, config: plain.py, folds: []}]}')
    assert [run.name for run in no_folds] == ['g/seed0']
    assert no_folds[0].suite == 'suite'


def test_a_group_has_seeds_folds_and_cells_of_its_own() -> None:
    runs = read(
        'seeds: [0]\nfolds: [0]\ngroups:\n'
        '- {name: a, config: plain.py, seeds: [5], folds: [1]}\n'
        '- {name: b, config: plain.py, cells: [[0, 1], [2, 0]]}'
    )
    assert [run.name for run in runs] == ['a/fold1_seed5', 'b/fold0_seed1', 'b/fold2_seed0']


def test_the_seed_reaches_every_stage() -> None:
    runs = read(
        'seeds: [7]\ncfg_options: [a=1]\ngroups:\n'
        '- {name: staged, config: staged.py, cfg_options: [b=2]}\n'
        '- {name: plain, config: plain.py}'
    )
    assert [run.cfg_options for run in runs] == [
        ('a=1', 'b=2', '*.randomness.seed=7'),
        ('a=1', 'model.randomness.seed=7'),
    ]


def test_placeholders_are_filled_in_and_words_stay_words() -> None:
    (run,) = read(
        'variables: {data: null, share: 15}\nfolds: [2]\n'
        "cfg_options: ['x=fold{fold}_{seed}_{share}', \"y={{'a': 1}}\"]\n"
        "prepare: ['make {data} --noise 0.{share}']\n"
        "groups: [{name: g, config: plain.py, values: {share: '00'}, prepare: ['\"more of\" {fold}']}]",
        data='a folder/x',
    )
    assert run.cfg_options[:2] == ('x=fold2_0_00', "y={{'a': 1}}")
    assert run.prepare == (('make', 'a folder/x', '--noise', '0.00'), ('more of', '2'))


def test_entries_of_one_group_add_stages_and_cells() -> None:
    runs = read(
        'seeds: [0, 1]\ngroups:\n'
        '- {name: g, config: staged.py, stages: [teacher]}\n'
        '- {name: g, config: staged.py, stages: [distill, student], seeds: [1]}'
    )
    assert [(run.name, run.stages) for run in runs] == [
        ('g/seed0', ('teacher',)),
        ('g/seed1', ('teacher',)),
        ('g/seed1', ('distill', 'student')),
    ]


def test_one_folder_has_one_config_and_one_set_of_overrides() -> None:
    first = 'groups:\n- {name: g, config: staged.py}\n'
    for other in ('{name: g, config: plain.py}', '{name: g, config: staged.py, cfg_options: [a=1]}'):
        with pytest.raises(ConfigError, match='g/seed0 is there twice with different settings'):
            read(f'{first}- {other}')
    assert len(read(f'{first}- {{name: g, config: plain.py, seeds: [1]}}')) == 2


def test_the_data_set_is_that_of_the_suite_or_of_a_group() -> None:
    groups = 'groups: [{name: a, config: on_data.py}, {name: b, config: on_data.py, data: here}]'
    assert [run.data for run in read(groups)] == [None, 'here']
    there, here = read(f'data: there\n{groups}')
    assert (there.data, here.data, there.to_dict()['data']) == ('there', 'here', 'there')
    assert there.entry != here.entry
    assert there.settings != here.settings
    with pytest.raises(ConfigError, match=r'unknown data set .their.: did you mean there or here'):
        read(f'data: their\n{groups}')
    with pytest.raises(ConfigError, match='g/seed0 is there twice with different settings'):
        read('groups: [{name: g, config: on_data.py}, {name: g, config: on_data.py, data: there}]')


GROUP = 'groups: [{name: g, config: staged.py}]'


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('[', r'suite\.yaml is no YAML: .*line 1'),
        ('- 1', 'expected keys such as name and groups, found list'),
        ('name: x', 'expected a list under groups, found None'),
        ('groups: []', r'expected a list under groups, found \[\]'),
        ('groups: [5]', 'expected keys and values, found 5'),
        (f'{GROUP}\nsed: [1]', r'suite\.yaml: unknown keys sed; known are cfg_options, data, folds, groups,'),
        ('groups: [{name: g, config: staged.py, stage: [a]}]', "group 'g': unknown keys stage; known are cells,"),
        ('groups: [{config: staged.py}]', 'group: needs a name of letters.* found None'),
        ('groups: [{name: 30, config: staged.py}]', 'needs a name of letters.* found 30'),
        ('groups: [{name: ../g, config: staged.py}]', r"needs a name of letters.* found '\.\./g'"),
        (f'name: a b\n{GROUP}', "needs a name of letters.* found 'a b'"),
        ('groups: [{name: g}]', 'group g: config None does not exist'),
        ('groups: [{name: g, config: none.py}]', r'group g: config none\.py does not exist'),
        ('groups: [{name: g, config: 5}]', 'group g: config 5 does not exist'),
        (
            'groups: [{name: g, config: staged.py, stages: [teacher, pupil]}]',
            r'staged\.py has no stages pupil; its stages are teacher, distill, student',
        ),
        ('groups: [{name: g, config: plain.py, stages: [model]}]', r'plain\.py has no stages model; it has no stages'),
        ('groups: [{name: g, config: staged.py, stages: teacher}]', "stages must be a list of texts, found 'teacher'"),
        (f'cfg_options: a=1\n{GROUP}', "cfg_options must be a list of texts, found 'a=1'"),
        (f'cfg_options: [a: 1]\n{GROUP}', r"cfg_options must be a list of texts, found \[\{'a': 1\}\]"),
        (f'prepare: make\n{GROUP}', "prepare must be a list of texts, found 'make'"),
        (f'prepare: ["make \'x"]\n{GROUP}', 'is no command: No closing quotation'),
        (f'data: 21\n{GROUP}', 'data must be the name of a data set, found 21'),
        (f'variables: [a]\n{GROUP}', r"variables must be names and values, found \['a'\]"),
        (f'variables: {{fold: 1}}\n{GROUP}', 'variables holds fold, which each run has of its own'),
        (
            'groups: [{name: g, config: plain.py, values: {seed: 1}}]',
            'values holds seed, which each run has of its own',
        ),
        (f'seeds: 3\n{GROUP}', 'seeds must be a list of whole numbers, found 3'),
        (f'seeds: [a]\n{GROUP}', r"seeds must be a list of whole numbers, found \['a'\]"),
        (f'seeds: [true]\n{GROUP}', r'seeds must be a list of whole numbers, found \[True\]'),
        (f'seeds: []\n{GROUP}', 'seeds must be a list of at least one whole number'),
        (f'folds: 2\n{GROUP}', 'folds must be a list of whole numbers, found 2'),
        (
            'groups: [{name: g, config: plain.py, cells: [1, 2]}]',
            r'cells must be pairs of fold and seed, found \[1, 2\]',
        ),
        ('groups: [{name: g, config: plain.py, cells: 4}]', 'cells must be pairs of fold and seed, found 4'),
        ('groups: [{name: g, config: plain.py, cells: []}]', r'cells must be pairs of fold and seed, found \[\]'),
        (
            f"cfg_options: ['a={{fodl}}']\n{GROUP}",
            r"'a=\{fodl\}' has the unknown placeholder \{fodl\}; known are fold, s",
        ),
        (f"cfg_options: ['a={{fold}}']\n{GROUP}", r'needs \{fold\}: the group has no folds'),
        (f"variables: {{data: null}}\nprepare: ['make {{data}}']\n{GROUP}", r'needs \{data\}: give --set data=VALUE'),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(text)


def test_variables_that_the_suite_does_not_have_and_a_suite_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match=r'suite\.yaml has no variables dta; it has data, dta'):
        read(f'variables: {{data: null}}\n{GROUP}', dta='x')
    with pytest.raises(ConfigError, match=r'suite none\.yaml does not exist'):
        read_suite_file('none.yaml')


def test_stages_that_are_no_list_are_named_with_their_config() -> None:
    Path('staged.py').write_text("stages = 'teacher'")
    with pytest.raises(ConfigError, match=r'staged\.py: stages must be a list of dict'):
        read(GROUP)


def test_an_entry_is_another_one_when_it_runs_something_else() -> None:
    (run,) = read(GROUP)
    others = [
        replace(run, cfg_options=('a=1',)),
        replace(run, stages=('teacher',)),
        replace(run, config='plain.py'),
        replace(run, cfg_options=(), stages=run.cfg_options),
    ]
    assert len({run.entry, *(other.entry for other in others)}) == 5
    assert replace(run, suite='renamed', prepare=(('make',),)).entry == run.entry


@pytest.mark.parametrize('name', ['staged.py', 'plain.py', 'weak.py', 'base.py'])
def test_settings_are_those_of_all_that_a_config_reads(name: str) -> None:
    (run,) = read(GROUP)
    before = run.settings
    content = Path(name).read_text()
    for text, changes in ((f'{content}# a comment\n', False), (f'{content}steps = 5\n', True)):
        Path(name).write_text(text)
        suite_module._settings.cache_clear()
        assert (run.settings != before) is changes


@pytest.mark.parametrize('path', SUITES, ids=lambda path: path.stem)
def test_the_suites_of_the_package_can_be_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    variables = suite_module._read_yaml(path).get('variables') or {}
    runs = read_suite_file(path, {name: 'SOURCE' for name, value in variables.items() if value is None})
    assert {run.suite for run in runs} == {path.stem}
    for run in runs:
        assert all(Path(words[1]).is_file() for words in run.prepare if words[0] == 'python')


@pytest.mark.slow
@pytest.mark.parametrize('path', SUITES, ids=lambda path: path.stem)
def test_the_overrides_of_the_packages_suites_fit_their_configs(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    variables = suite_module._read_yaml(path).get('variables') or {}
    runs = read_suite_file(path, {name: 'SOURCE' for name, value in variables.items() if value is None})
    for run in {run.config: run for run in runs}.values():
        words = SuiteRunner(tmp_path).command(run, tmp_path)
        experiment = load_experiment(words[words.index('train') + 1], tmp_path, run.cfg_options, data=run.data)
        assert {stage.config.randomness.seed for stage in experiment.stages} == {run.seed}
