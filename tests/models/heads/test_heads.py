"""Heads: which aggregators they take, and what they compute from them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from mitouts.errors import ConfigError
from mitouts.registry import AGGREGATORS, MODELS

CHANNELS = 6
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
    losses = built.loss(features, labels)
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
    built.loss(features, torch.tensor([0.0, 1.0]))['loss_image'].backward()
    assert built.classifier.weight.grad is not None
    assert built.classifier.weight.grad.abs().max() > 1e-5


def test_loss_is_the_configured_one() -> None:
    smoothed = _build('InstanceHead', {'type': 'MaxAggregator'}, loss={'type': 'ImageBCELoss', 'label_smoothing': 0.4})
    assert smoothed.loss_function.label_smoothing == 0.4


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
