"""What a staged config says of its stages: read, and checked before hours are spent on one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from mmengine.config import Config

from mitouts.datasets.figure_crops import FigureCropDataset
from mitouts.engine import runs
from mitouts.engine.distill import DISTILLED_NAME, Split
from mitouts.errors import ConfigError
from mitouts.registry import DATASETS, TASK_UTILS
from mitouts.review.stage import REVIEWED_NAME

STAGE_KEYS = {
    'train': ('data_from', 'val_from'),
    'distill': ('model_from', 'data_from', 'split'),
    'review': ('data_from',),
    'propose': ('model_from', 'data_from'),
    'cascade': ('model_from', 'verifier_from'),
    'test': ('model_from',),
}
KINDS = tuple(STAGE_KEYS)
LABELS_OF = {'distill': DISTILLED_NAME, 'review': REVIEWED_NAME}
"""Kind of a stage -> the annotation file that it writes of the training images."""


@dataclass(frozen=True)
class Stage:
    """One stage of an experiment.

    Attributes:
        name: Also the name of its work dir.
        kind: ``train``, ``distill``, ``review``, ``propose``, ``cascade`` or ``test``.
        config: Its config, with the experiment's overrides.
        model_from: For ``distill``, ``propose`` and ``test``, the training stage whose checkpoint is used (for ``test``
            also a cascade stage), for ``cascade`` the one that proposes; a distillation whose criterion looks at no
            prediction has none.
        data_from: For ``train`` and ``propose``, the distillation or review stage whose file has the training images;
            for a ``train`` stage on figure crops, the propose stage whose three files are used; for ``distill``, the
            distillation that its criterion is told to drop as many as (``RandomDrop``); for ``review``, the one whose
            hard samples are reviewed.
        val_from: For ``train``, the distillation stage whose file is validated on.
        verifier_from: For ``cascade``, the training stage whose checkpoint verifies.
        split: For ``distill``, ``train`` or ``val``: the images that are judged.
    """

    name: str
    kind: str
    config: Config
    model_from: str | None = None
    data_from: str | None = None
    val_from: str | None = None
    verifier_from: str | None = None
    split: Split = 'train'

    @property
    def uses_crops(self) -> bool:
        """Whether its images are crops around figures, so that its model is a patch classifier and no localizer."""
        loader = self.config.get('train_dataloader') or self.config.get('test_dataloader') or {}
        with runs.located(self.config):
            return DATASETS.is_kind(loader.get('dataset') or {}, FigureCropDataset)


def split_overrides(cfg_options: Sequence[str], names: Sequence[str]) -> dict[str, list[str]]:
    """Give each ``STAGE.key=value`` to its stage, and each ``*.key=value`` to all of them.

    Raises:
        ConfigError: An override begins with no stage's name.
    """
    per_stage: dict[str, list[str]] = {name: [] for name in names}
    for option in cfg_options:
        plus = '+' if option.startswith('+') else ''
        stage, _, rest = option.removeprefix('+').partition('.')
        if stage != '*' and stage not in per_stage:
            raise ConfigError(
                f'--cfg-options {option}: in a staged config an override begins with the name of a stage, one of '
                f'{", ".join(names)}, or with * for all of them; for instance {names[0]}.{option.removeprefix("+")}'
            )
        for name in names if stage == '*' else [stage]:
            per_stage[name].append(plus + rest)
    return per_stage


def check_description(description: Mapping[str, Any]) -> None:
    """Check that a stage has a name, a kind and a config.

    Raises:
        ConfigError: One of them is missing, or the kind is unknown.
    """
    name, kind = description.get('name'), description.get('kind')
    if not name or kind not in KINDS or 'config' not in description:
        raise ConfigError(
            f'a stage needs a name, a config and a kind out of {", ".join(KINDS)}; found name={name!r}, kind={kind!r}'
        )


def make_stage(description: Mapping[str, Any], config: Config) -> Stage:
    """A stage from its description and its config.

    Raises:
        ConfigError: It has keys that its kind does not know.
    """
    name, kind = description['name'], description['kind']
    own = {key: value for key, value in description.items() if key not in ('name', 'kind', 'config', 'options')}
    known = STAGE_KEYS[kind]
    unknown = set(own) - set(known)
    if unknown:
        raise ConfigError(f'stage {name}: unknown keys {", ".join(sorted(unknown))}; it may have {", ".join(known)}')
    if own.get('split', 'train') not in get_args(Split):
        raise ConfigError(f'stage {name}: split must be train or val, found {own["split"]!r}')
    return Stage(name, kind, config, **own)


def check_references(stages: Sequence[Stage]) -> None:
    """Check that every stage comes after those that it needs something of.

    Raises:
        ConfigError: It does not, or two stages have one name.
    """
    seen: dict[str, Stage] = {}
    for stage in stages:
        _check_models(stage, seen)
        _check_data(stage, seen)
        if stage.name in seen:
            raise ConfigError(f'two stages are called {stage.name!r}')
        seen[stage.name] = stage


def _check_models(stage: Stage, seen: Mapping[str, Stage]) -> None:
    needs_model = stage.kind in ('test', 'propose', 'cascade') or (stage.kind == 'distill' and _predicts(stage))
    wanted = [('model_from', stage.model_from)] if needs_model or stage.model_from is not None else []
    wanted += [('verifier_from', stage.verifier_from)] if stage.kind == 'cascade' else []
    kinds = ('train', 'cascade') if stage.kind == 'test' else ('train',)
    for key, source in wanted:
        if source is None or source not in seen or seen[source].kind not in kinds:
            raise ConfigError(f'stage {stage.name}: {key} must name an earlier training stage, found {source!r}')
        if stage.kind != 'test' and seen[source].uses_crops != (key == 'verifier_from'):
            what = 'a patch classifier, trained on a FigureCropDataset' if key == 'verifier_from' else 'a localizer'
            raise ConfigError(f'stage {stage.name}: {key} must name the training of {what}, which {source} is not')


def _check_data(stage: Stage, seen: Mapping[str, Stage]) -> None:
    trains_on_crops = stage.kind == 'train' and stage.uses_crops
    if trains_on_crops and stage.val_from is not None:
        raise ConfigError(f'stage {stage.name}: data_from gives figure crops of all splits, so leave val_from out')
    for key, split, source in (('data_from', 'train', stage.data_from), ('val_from', 'val', stage.val_from)):
        if source is None:
            continue
        takes_labels = stage.kind in ('train', 'propose') and split == 'train'
        kinds = ('propose',) if trains_on_crops else tuple(LABELS_OF) if takes_labels else ('distill',)
        if source not in seen or seen[source].kind not in kinds:
            raise ConfigError(
                f'stage {stage.name}: {key} must name an earlier {" or ".join(kinds)} stage, found {source!r}'
            )
        if stage.kind in ('train', 'propose') and seen[source].split != split:
            raise ConfigError(
                f'stage {stage.name}: {key} must name a distill stage of the {split} images, but stage {source} '
                f'has split={seen[source].split!r}'
            )
    if stage.kind == 'review' and stage.data_from is None:
        raise ConfigError(f'stage {stage.name}: data_from must name the distillation whose samples are reviewed')


def _predicts(stage: Stage) -> bool:
    """Whether the criterion of a distillation judges by predictions; one that is not there is left to its stage."""
    settings = (stage.config.get('distillation') or {}).get('criterion') or {}
    if not isinstance(settings, dict):
        raise ConfigError(f'stage {stage.name}: distillation.criterion must be a dict with a type, found {settings!r}')
    with runs.located(stage.config):
        return getattr(TASK_UTILS.class_of(settings), 'uses_predictions', True)
