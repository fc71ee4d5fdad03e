"""The tissue model and its loss."""

from __future__ import annotations

import pytest
import torch
from monai.losses import DiceCELoss

from mitouts.errors import ConfigError
from mitouts.functional.segmentation import IGNORE_INDEX
from mitouts.models import TissueLoss, TissueUNet
from mitouts.registry import MODELS
from mitouts.structures import TissueSample


def tiny(**arguments) -> TissueUNet:
    torch.manual_seed(0)
    known = dict(type='TissueUNet', num_classes=3, channels=(4, 8, 8), num_res_units=1, tile_px=32)
    return MODELS.build({**known, **arguments})


def batch(height: int = 32, width: int = 32) -> tuple[torch.Tensor, list[TissueSample]]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn((2, 3, height, width), generator=generator)
    samples = [TissueSample(gt_labels=torch.randint(0, 3, (height, width), generator=generator)) for _ in range(2)]
    return images, samples


def test_loss_is_monais_where_everything_is_labelled() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((2, 4, 6, 5), generator=generator)
    labels = torch.randint(0, 4, (2, 6, 5), generator=generator)
    ours = TissueLoss()(logits, labels)
    whole = DiceCELoss(to_onehot_y=True, softmax=True, batch=True)(logits, labels[:, None])
    torch.testing.assert_close(ours['loss_dice'] + ours['loss_ce'], whole)


def test_ignored_pixels_change_neither_loss_nor_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((2, 3, 8, 8), generator=generator)
    labels = torch.randint(0, 3, (2, 8, 8), generator=generator)
    cut = TissueLoss()(logits[..., :5], labels[..., :5])
    labels[..., 5:] = IGNORE_INDEX
    logits = logits.clone().requires_grad_()
    masked = TissueLoss()(logits, labels)
    for key in ('loss_dice', 'loss_ce'):
        torch.testing.assert_close(masked[key], cut[key])
    sum(masked.values()).backward()
    assert (logits.grad[..., 5:] == 0).all()
    assert (logits.grad[..., :5] != 0).any()


def test_a_batch_without_labels_has_no_loss() -> None:
    logits = torch.randn((1, 3, 4, 4), requires_grad=True)
    losses = TissueLoss()(logits, torch.full((1, 4, 4), IGNORE_INDEX, dtype=torch.uint8))
    assert [value.item() for value in losses.values()] == [0, 0]
    sum(losses.values()).backward()
    assert (logits.grad == 0).all()


def test_losses_are_weighted() -> None:
    logits, labels = torch.randn((1, 2, 4, 4)), torch.randint(0, 2, (1, 4, 4))
    plain, weighted = TissueLoss()(logits, labels), TissueLoss(dice_weight=0.5, ce_weight=3)(logits, labels)
    torch.testing.assert_close(weighted['loss_dice'], 0.5 * plain['loss_dice'])
    torch.testing.assert_close(weighted['loss_ce'], 3 * plain['loss_ce'])
    one_class = TissueLoss(class_weights=[1, 0])(logits, labels)['loss_ce']
    entropy = torch.nn.functional.cross_entropy(logits, labels, reduction='none')
    torch.testing.assert_close(one_class, (entropy * (labels == 0)).sum() / labels.numel())


def test_modes() -> None:
    model = tiny().eval()
    inputs, samples = batch()
    assert model(inputs, mode='tensor').shape == (2, 3, 32, 32)
    assert set(model(inputs, samples, mode='loss')) == {'loss_dice', 'loss_ce'}
    predicted = model(inputs, samples, mode='predict')
    assert predicted[0].pred_labels.dtype == torch.uint8
    torch.testing.assert_close(predicted[1].pred_labels.long(), model(inputs, mode='tensor')[1].argmax(dim=0))
    with pytest.raises(ValueError, match='mode must be'):
        model(inputs, mode='guess')


@torch.no_grad()
def test_large_images_are_tiles_put_together() -> None:
    model = tiny().eval()
    inputs, _ = batch(64, 40)
    whole = model.probabilities(inputs)
    assert whole.shape == (2, 3, 64, 40)
    torch.testing.assert_close(whole[..., 32:, :32], model(inputs[..., 32:, :32]).softmax(dim=1))
    torch.testing.assert_close(whole[..., :32, 32:], model(inputs[..., :32, 32:]).softmax(dim=1))


@torch.no_grad()
@pytest.mark.parametrize('size', [(1, 1), (33, 31), (5, 70)])
def test_any_size(size) -> None:
    probabilities = tiny().eval().probabilities(torch.randn(1, 3, *size))
    assert probabilities.shape == (1, 3, *size)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(1, *size))


def test_a_tile_is_judged_without_its_batch() -> None:
    model = tiny().eval()
    inputs, _ = batch()
    with torch.no_grad():
        torch.testing.assert_close(model(inputs)[:1], model(inputs[:1]))


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [(dict(tile_px=30), 'tile_px must be a multiple of 4'), (dict(channels=(4,)), 'at least two levels')],
)
def test_arguments_that_make_no_sense(arguments, message) -> None:
    with pytest.raises(ConfigError, match=message):
        tiny(**arguments)
