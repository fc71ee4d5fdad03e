"""Heads: which aggregators they take, and what they compute from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from mitouts.errors import ConfigError
from mitouts.functional.geometry import AlignCornersGeometry, FeatureGeometry
from mitouts.models.aggregators import Aggregator, Pooled
from mitouts.registry import AGGREGATORS, MODELS
from mitouts.structures import PointSample

CHANNELS = 6
GEOMETRY = FeatureGeometry(stride=16, center_offset_px=15.0, receptive_radius_px=73.0)
SIZE_PX = (80, 64)
AGGREGATOR_NAMES = (
    'MaxAggregator',
    'MeanAggregator',
    'LogSumExpAggregator',
    'TopKMeanAggregator',
    'GeMAggregator',
    'NoisyOrAggregator',
    'AttentionAggregator',
)


def _pairs(head: str, wanted: tuple[str, ...]) -> tuple[list[Any], list[Any]]:
    """Every aggregator in every domain that it allows, apart: those that suit the head, and the others."""
    suited: list[Any] = []
    unsuited: list[Any] = []
    for name in AGGREGATOR_NAMES:
        for domain in AGGREGATORS.get(name).domains:
            (suited if domain in wanted else unsuited).append(pytest.param(head, name, domain))
    return suited, unsuited


INSTANCE, NOT_INSTANCE = _pairs('InstanceHead', ('logit', 'probability'))
EMBEDDING, NOT_EMBEDDING = _pairs('EmbeddingHead', ('feature',))


def _features(channels: int = CHANNELS) -> Tensor:
    return torch.randn(3, channels, 5, 4, generator=torch.Generator().manual_seed(0)).relu()


def _samples(labels: Sequence[int], weights: Sequence[float] | None = None) -> list[PointSample]:
    """Images with one figure each where the label is 1, at (20, 30)."""
    samples = [PointSample() for _ in labels]
    for sample, label in zip(samples, labels):
        sample.gt_label = label
        sample.gt_points = torch.tensor([[20.0, 30.0]])[:label]
    for sample, weight in zip(samples, weights or ()):
        sample.gt_weight = weight
    return samples


def _build(head: str, aggregator: dict[str, Any], **arguments: Any) -> Any:
    torch.manual_seed(0)
    return MODELS.build({'type': head, 'aggregator': aggregator, 'in_channels': CHANNELS, **arguments}).eval()


@pytest.mark.parametrize(('head', 'name', 'domain'), INSTANCE + EMBEDDING)
def test_every_sensible_pair_gives_a_score_and_a_map(head: str, name: str, domain: str) -> None:
    output = _build(head, {'type': name, 'domain': domain})(_features())
    assert output.image_logit.shape == (3,)
    assert output.score_map.shape == (3, 5, 4)
    assert output.image_logit.dtype == output.score_map.dtype == torch.float32
    assert torch.isfinite(output.image_logit).all()
    assert (output.score_map >= 0).all()
    assert (output.score_map <= 1).all()


@pytest.mark.parametrize(('head', 'name', 'domain'), NOT_INSTANCE + NOT_EMBEDDING)
def test_a_pair_that_makes_no_sense_raises_when_built(head: str, name: str, domain: str) -> None:
    with pytest.raises(ConfigError, match=rf'{head} aggregates .*{name}.*head\.aggregator\.domain'):
        _build(head, {'type': name, 'domain': domain})


@pytest.mark.parametrize(
    ('head', 'name'), [('InstanceHead', 'AttentionAggregator'), ('EmbeddingHead', 'MaxAggregator')]
)
def test_a_default_domain_that_does_not_suit_the_head_raises_too(head: str, name: str) -> None:
    with pytest.raises(ConfigError, match=r'set head\.aggregator\.domain to'):
        _build(head, {'type': name})


def test_maximum_of_logits_is_the_logit_of_the_maximum_of_probabilities() -> None:
    logits = _build('InstanceHead', {'type': 'MaxAggregator', 'domain': 'logit'})(_features())
    probabilities = _build('InstanceHead', {'type': 'MaxAggregator', 'domain': 'probability'})(_features())
    torch.testing.assert_close(logits.image_logit, probabilities.image_logit, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(logits.score_map, probabilities.score_map)
    torch.testing.assert_close(torch.sigmoid(logits.image_logit), logits.score_map.amax(dim=(1, 2)))


def test_mean_of_logits_is_not_the_logit_of_the_mean_of_probabilities() -> None:
    features = 20 * _features()
    logits = _build('InstanceHead', {'type': 'MeanAggregator', 'domain': 'logit'})(features)
    probabilities = _build('InstanceHead', {'type': 'MeanAggregator', 'domain': 'probability'})(features)
    assert (logits.image_logit - probabilities.image_logit).abs().min() > 0.01
    torch.testing.assert_close(torch.sigmoid(probabilities.image_logit), probabilities.score_map.mean(dim=(1, 2)))


def test_instance_map_is_the_classifier_at_every_position() -> None:
    head = _build('InstanceHead', {'type': 'MeanAggregator'})
    features = _features()
    weight, bias = head.classifier.weight[0, :, 0, 0], head.classifier.bias
    logits = torch.einsum('ndhw,d->nhw', features, weight) + bias
    output = head(features)
    torch.testing.assert_close(output.score_map, torch.sigmoid(logits))
    torch.testing.assert_close(output.image_logit, logits.mean(dim=(1, 2)))


def test_classifying_the_mean_feature_is_the_mean_of_the_class_activation_map() -> None:
    output = _build('EmbeddingHead', {'type': 'MeanAggregator', 'domain': 'feature'})(_features())
    torch.testing.assert_close(output.image_logit, torch.logit(output.score_map).mean(dim=(1, 2)), atol=1e-5, rtol=1e-4)


def test_classifying_the_maximal_features() -> None:
    head = _build('EmbeddingHead', {'type': 'MaxAggregator', 'domain': 'feature'})
    features = _features()
    expected = features.amax(dim=(2, 3)) @ head.classifier.weight[0, :, 0, 0] + head.classifier.bias
    torch.testing.assert_close(head(features).image_logit, expected)


@pytest.mark.parametrize(('head', 'domain'), [('EmbeddingHead', 'feature'), ('InstanceHead', 'logit')])
@pytest.mark.parametrize('gated', [False, True])
def test_attention_map_is_scaled_to_the_image_score(head: str, domain: str, gated: bool) -> None:
    built = _build(head, {'type': 'AttentionAggregator', 'domain': domain, 'gated': gated})
    features = 4 * _features()
    output = built(features)
    score = torch.sigmoid(output.image_logit)
    torch.testing.assert_close(output.score_map.amax(dim=(1, 2)), score)
    hidden = torch.tanh(built.aggregator.value(features))
    if gated:
        hidden = hidden * torch.sigmoid(built.aggregator.gate(features))
    attention = built.aggregator.score(hidden)[:, 0]
    relative = torch.exp(attention - attention.amax(dim=(1, 2), keepdim=True))
    torch.testing.assert_close(output.score_map, relative * score[:, None, None], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(('head', 'name', 'domain'), INSTANCE + EMBEDDING)
def test_bfloat16_and_channels_last_change_nothing_but_precision(head: str, name: str, domain: str) -> None:
    built = _build(head, {'type': name, 'domain': domain})
    features = _features()
    plain = built(features)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        mixed = built(features.to(torch.bfloat16).to(memory_format=torch.channels_last))
    assert mixed.image_logit.dtype == mixed.score_map.dtype == torch.float32
    torch.testing.assert_close(mixed.image_logit, plain.image_logit, atol=0.1, rtol=0.05)
    torch.testing.assert_close(mixed.score_map, plain.score_map, atol=0.02, rtol=0.05)


@pytest.mark.parametrize(('head', 'name', 'domain'), INSTANCE + EMBEDDING)
def test_loss_is_the_cross_entropy_of_the_image_score_and_reaches_the_features(
    head: str, name: str, domain: str
) -> None:
    built = _build(head, {'type': name, 'domain': domain})
    features, labels = _features().requires_grad_(), torch.tensor([1.0, 0.0, 1.0])
    losses = built.loss(features, _samples([1, 0, 1]), GEOMETRY, SIZE_PX)
    score = torch.sigmoid(built(features).image_logit.detach().double())
    expected = -(labels * score.log() + (1 - labels) * (1 - score).log()).mean()
    torch.testing.assert_close(losses['loss_image'].detach().double(), expected, atol=1e-6, rtol=1e-5)
    losses['loss_image'].backward()
    assert features.grad is not None
    assert features.grad.abs().sum() > 0


@pytest.mark.parametrize(('head', 'name', 'domain'), INSTANCE + EMBEDDING)
def test_an_untrained_head_learns_on_a_map_of_full_size(head: str, name: str, domain: str) -> None:
    built = _build(head, {'type': name, 'domain': domain})
    features = torch.randn(2, CHANNELS, 32, 32, generator=torch.Generator().manual_seed(0)).relu()
    built.loss(features, _samples([0, 1]), GEOMETRY, (512, 512))['loss_image'].backward()
    assert built.classifier.weight.grad is not None
    assert built.classifier.weight.grad.abs().max() > 1e-5


def test_loss_is_the_configured_one() -> None:
    head = _build('InstanceHead', {'type': 'MaxAggregator'}, loss={'type': 'TissueLoss'})
    assert type(head.loss_function).__name__ == 'TissueLoss'


def test_dropout_acts_in_training_only() -> None:
    head = _build('InstanceHead', {'type': 'MeanAggregator'}, dropout=0.5)
    features = _features()
    torch.testing.assert_close(head(features).image_logit, head(features).image_logit)
    head.train()
    assert not torch.equal(head(features).image_logit, head(features).image_logit)


@pytest.mark.parametrize('bias', [False, True])
def test_initial_classifier_is_small_and_unbiased(bias: bool) -> None:
    head = _build('InstanceHead', {'type': 'MaxAggregator'}, bias=bias)
    head.init_weights()
    assert 0 < head.classifier.weight.abs().max() < 0.06
    assert (head.classifier.bias is not None) is bias
    if bias:
        assert head.classifier.bias.item() == 0


@MODELS.register_module(name='LossWithoutWeights')
class _LossWithoutWeights(torch.nn.Module):
    def forward(self, image_logit: Tensor, labels: Tensor) -> Tensor:
        return (image_logit - labels).square().mean()


@pytest.mark.parametrize('extra', [(), ({'type': 'CentroidConstraintLoss'},)], ids=['image', 'constrained'])
def test_a_sample_of_weight_0_might_as_well_not_be_there(extra: tuple[dict[str, Any], ...]) -> None:
    results = []
    for kept, weights in (([0, 1, 2], [0.5, 0.0, 1.0]), ([0, 2], [0.5, 1.0])):
        head = _build('InstanceHead', {'type': 'MaxAggregator'}, extra_losses=extra)
        samples = _samples([[1, 1, 0][index] for index in kept], weights)
        losses = head.loss(_features()[kept], samples, GEOMETRY, SIZE_PX)
        sum(losses.values()).backward()
        results.append((losses, head.classifier.weight.grad))
    (with_it, its_gradient), (without, gradient) = results
    assert with_it.keys() == without.keys()
    for name, value in with_it.items():
        torch.testing.assert_close(value, without[name])
    torch.testing.assert_close(its_gradient, gradient)
    assert gradient.abs().max() > 0


def test_weights_of_1_are_the_plain_mean_and_a_loss_need_not_know_them() -> None:
    for loss in ('ImageBCELoss', 'LossWithoutWeights'):
        head = _build('InstanceHead', {'type': 'MaxAggregator'}, loss={'type': loss})
        plain = head.loss(_features(), _samples([1, 0, 1]), GEOMETRY, SIZE_PX)
        weighted = head.loss(_features(), _samples([1, 0, 1], [1.0, 1.0, 1.0]), GEOMETRY, SIZE_PX)
        assert torch.equal(plain['loss_image'], weighted['loss_image'])


def test_a_loss_that_takes_no_weights_refuses_samples_that_have_some() -> None:
    head = _build('InstanceHead', {'type': 'MaxAggregator'}, loss={'type': 'LossWithoutWeights'})
    with pytest.raises(ConfigError, match=r'LossWithoutWeights takes no weights.*weights=None'):
        head.loss(_features(), _samples([1, 0, 1], [1.0, 0.5, 1.0]), GEOMETRY, SIZE_PX)


def test_extra_losses_stand_beside_the_image_loss_under_their_name() -> None:
    head = _build('InstanceHead', {'type': 'MaxAggregator'}, extra_losses=[{'type': 'CentroidConstraintLoss'}])
    losses = head.loss(_features(), _samples([1, 0, 1]), GEOMETRY, SIZE_PX)
    assert set(losses) == {'loss_image', 'loss_centroid'}
    plain = _build('InstanceHead', {'type': 'MaxAggregator'}).loss(_features(), _samples([1, 0, 1]), GEOMETRY, SIZE_PX)
    assert torch.equal(losses['loss_image'], plain['loss_image'])


def test_the_same_extra_loss_twice_is_refused() -> None:
    twice = [{'type': 'CentroidConstraintLoss'}, {'type': 'CentroidConstraintLoss', 'kind': 'log_barrier'}]
    with pytest.raises(ConfigError, match=r'head\.extra_losses: loss_centroid is there more than once'):
        _build('InstanceHead', {'type': 'MaxAggregator'}, extra_losses=twice)


@pytest.mark.parametrize(('head', 'domain'), [('EmbeddingHead', 'feature'), ('InstanceHead', 'logit')])
@pytest.mark.parametrize(
    ('arguments', 'names'),
    [
        ({'extra_losses': [{'type': 'CentroidConstraintLoss'}]}, 'CentroidConstraintLoss'),
        ({'upsample': 'align_corners'}, r"head\.upsample='align_corners'"),
    ],
)
def test_what_needs_logits_refuses_a_map_of_attention(
    head: str, domain: str, arguments: dict[str, Any], names: str
) -> None:
    with pytest.raises(ConfigError, match=rf'{names} works on .*AttentionAggregator is its attention'):
        _build(head, {'type': 'AttentionAggregator', 'domain': domain}, **arguments)


def test_map_logits_are_those_of_the_score_map() -> None:
    for head, domain in (('InstanceHead', 'probability'), ('EmbeddingHead', 'feature')):
        output = _build(head, {'type': 'MaxAggregator', 'domain': domain})(_features())
        torch.testing.assert_close(torch.sigmoid(output.map_logit), output.score_map)
    assert _build('EmbeddingHead', {'type': 'AttentionAggregator'})(_features()).map_logit is None


def _stretched(logits: Tensor) -> np.ndarray:
    """Bilinear interpolation with the corner cells on the corner pixels, by scipy."""
    (height, width), (rows, columns) = SIZE_PX, logits.shape[1:]
    at = np.mgrid[:height, :width].astype(float)
    at *= np.array([(rows - 1) / (height - 1), (columns - 1) / (width - 1)])[:, None, None]
    return np.stack([ndimage.map_coordinates(each, at, order=1) for each in logits.detach().double().numpy()])


@pytest.mark.parametrize('domain', ['logit', 'probability'])
def test_upsampling_comes_before_the_aggregation(domain: str) -> None:
    plain = _build('InstanceHead', {'type': 'MeanAggregator', 'domain': domain})
    head = _build('InstanceHead', {'type': 'MeanAggregator', 'domain': domain}, upsample='align_corners')
    features = 9 * _features()
    output = head(features, SIZE_PX)
    expected = _stretched(plain(features).map_logit)
    np.testing.assert_allclose(output.map_logit.detach().numpy(), expected, atol=1e-4)
    torch.testing.assert_close(output.score_map, plain(features).score_map)
    values = torch.from_numpy(expected)
    pooled = values.mean(dim=(1, 2)) if domain == 'logit' else torch.logit(values.sigmoid().mean(dim=(1, 2)))
    torch.testing.assert_close(output.image_logit.double(), pooled, atol=1e-4, rtol=1e-4)
    assert (output.image_logit - plain(features).image_logit).abs().min() > 1e-3


def test_an_embedding_head_pools_features_as_they_are_and_stretches_its_map() -> None:
    plain = _build('EmbeddingHead', {'type': 'MeanAggregator', 'domain': 'feature'})(_features())
    head = _build('EmbeddingHead', {'type': 'MeanAggregator', 'domain': 'feature'}, upsample='align_corners')
    output = head(_features(), SIZE_PX)
    assert torch.equal(output.image_logit, plain.image_logit)
    np.testing.assert_allclose(output.map_logit.detach().numpy(), _stretched(plain.map_logit), atol=1e-5)


def test_a_head_that_upsamples_says_where_its_cells_lie() -> None:
    assert _build('InstanceHead', {'type': 'MaxAggregator'}).map_geometry(GEOMETRY) is GEOMETRY
    head = _build('InstanceHead', {'type': 'MaxAggregator'}, upsample='align_corners')
    assert head.map_geometry(GEOMETRY) == AlignCornersGeometry(16, 15.0, 73.0)


def test_an_unknown_upsampling_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"head\.upsample must be None or 'align_corners', found 'bilinear'"):
        _build('InstanceHead', {'type': 'MaxAggregator'}, upsample='bilinear')


@AGGREGATORS.register_module(force=True)
class _Undeclared(Aggregator):
    """Gives attention weights where it is told to, whatever its class says."""

    def __init__(self, gives: bool, domain: str | None = None) -> None:
        super().__init__(domain)
        self.gives = gives

    def forward(self, values: Tensor, features: Tensor) -> Pooled:
        weights = torch.full_like(features[:, :1], 1 / features[0, 0].numel())
        return Pooled(values.flatten(2).mean(2), weights if self.gives else None)


@AGGREGATORS.register_module(force=True)
class _Declared(_Undeclared):
    map_is_attention = True


@pytest.mark.parametrize(('head', 'domain'), [('InstanceHead', 'logit'), ('EmbeddingHead', 'feature')])
@pytest.mark.parametrize(
    ('name', 'gives', 'words'),
    [
        ('_Undeclared', True, r'gives weights, but .*map_is_attention is False: set map_is_attention = True'),
        ('_Declared', False, r'gives no weights, but .*map_is_attention is True: set map_is_attention = False'),
    ],
)
def test_weights_that_are_not_as_declared_are_refused(head, domain, name, gives, words) -> None:
    built = _build(head, {'type': name, 'gives': gives, 'domain': domain})
    with pytest.raises(ConfigError, match=words):
        built(_features())


def test_what_an_aggregator_declares_is_asked_and_not_tried_out() -> None:
    class _NeverRun(Aggregator):
        map_is_attention = True

    head = _build('InstanceHead', {'type': _NeverRun, 'domain': 'logit'})
    assert head.map_is_attention()
    with pytest.raises(ConfigError, match='_NeverRun is its attention'):
        _build('InstanceHead', {'type': _NeverRun, 'domain': 'logit'}, upsample='align_corners')


def test_declared_weights_are_the_score_map() -> None:
    built = _build('InstanceHead', {'type': '_Declared', 'gives': True, 'domain': 'logit'})
    output = built(_features())
    assert output.map_logit is None
    torch.testing.assert_close(output.score_map, torch.sigmoid(output.image_logit)[:, None, None].expand(3, 5, 4))
