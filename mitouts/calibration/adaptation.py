"""Fits batch norms to the images of a new domain: estimates their statistics anew, without labels.

Another scanner shifts the distribution of every feature, and the statistics that a batch norm learnt no longer fit.
They are re-estimated on ``n`` new images, with the source's own as a prior that is worth ``N`` images (Schneider et al.
2020)::

    mean = N / (N + n) * source mean + n / (N + n) * target mean        and the same for the variance

The target's moments are exact: pooled over all positions of all ``n`` images, not averaged over batches. One pass makes
them exact for the first layer. What a deeper layer sees depends on those before it, whose statistics are not final
during that pass: they are the blend with all images so far. Each further pass normalizes with the result of the one
before, which makes one more layer exact; with as many passes as layers (or one batch of all images) the result depends
on the images only, and no longer on batches or processes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from mmengine import dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mitouts.errors import ConfigError, ImageError
from mitouts.inference.images import ImagePredictor
from mitouts.utils.defaults import ADAPT_BN_PRIOR
from mitouts.utils.ranks import together

BATCH_PX = 2_000_000

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Count, mean and summed squared deviations of the channels of a layer's input.

    Attributes:
        count: Positions that were seen.
        mean: ``(C,)``.
        squares: ``(C,)``, sum of the squared deviations from the mean.
    """

    count: int
    mean: FloatArray
    squares: FloatArray

    @classmethod
    def of(cls, inputs: Tensor) -> Moments:
        """Compute the moments of a batch ``(N, C, ...)``."""
        channels = inputs.shape[1]
        # Channels last as the network has them, and two steps: three times as fast as torch.var_mean on a CPU.
        rows = inputs.detach().float().movedim(1, -1).reshape(-1, channels)
        mean = rows.mean(dim=0)
        variance = (rows - mean).square_().mean(dim=0)
        as_float64 = [each.cpu().numpy().astype(np.float64) for each in (mean, variance)]
        return cls(len(rows), as_float64[0], as_float64[1] * len(rows))

    def __or__(self, other: Moments) -> Moments:
        """Combine the moments of two samples (Chan et al. 1983)."""
        count = self.count + other.count
        if not count:
            return self
        step = other.mean - self.mean
        mean = self.mean + step * (other.count / count)
        return Moments(count, mean, self.squares + other.squares + step**2 * (self.count * other.count / count))


@dataclass(frozen=True)
class Adaptation:
    """The result of adapting batch norms.

    Attributes:
        prior: Images that the source's statistics are worth.
        images: Images that the new statistics come from, over all processes.
        layers: Batch norms that were adapted.
        passes: Passes over the images.
    """

    prior: float
    images: int
    layers: int
    passes: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)


class _Layer:
    """A batch norm with the statistics it had and those it sees while it is adapted."""

    def __init__(self, module: _BatchNorm) -> None:
        assert module.running_mean is not None
        assert module.running_var is not None
        self.module = module
        self._source = module.running_mean.clone(), module.running_var.clone()
        self.forget()

    def forget(self) -> None:
        channels = self.module.num_features
        self.seen = Moments(0, np.zeros(channels), np.zeros(channels))

    def restore(self) -> None:
        self._write(*self._source)

    def blend(self, images: int, prior: float) -> None:
        """Mix the old statistics with those seen in ``images`` images; a layer that saw nothing keeps the old ones."""
        if not self.seen.count:
            return
        share = images / (prior + images)
        target = self.seen.mean, self.seen.squares / self.seen.count
        blended = [
            torch.from_numpy(share * new + (1 - share) * old.double().cpu().numpy())
            for new, old in zip(target, self._source)
        ]
        self._write(*blended)

    def _write(self, mean: Tensor, variance: Tensor) -> None:
        assert self.module.running_mean is not None
        assert self.module.running_var is not None
        with torch.no_grad():
            self.module.running_mean.copy_(mean)
            self.module.running_var.copy_(variance)


def adapt_batch_norm(
    model: nn.Module,
    batches: Iterable[Sequence[Any]],
    *,
    prior: float = ADAPT_BN_PRIOR,
    passes: int = 1,
    forward: Callable[[Sequence[Any]], Any] | None = None,
) -> Adaptation:
    """Re-estimate the statistics of all batch norms on images of a new domain (Schneider et al. 2020).

    Frozen batch norms are adapted, too. Everything else of the model runs as in a prediction, and no weight is touched.
    Of several processes each takes its share of the images; all of them end with the same statistics.

    Args:
        model: The model; its statistics are changed.
        batches: Batches of images, each a sequence with one entry an image: uint8 tensors ``(3, H, W)`` of one size,
            unless ``forward`` takes something else. Iterated ``passes`` times. A batch that raises ``ImageError`` is
            passed over.
        prior: Images that the source's statistics are worth; 0 takes the new ones alone.
        passes: One is the paper's; more bring the deeper layers' statistics closer to exact.
        forward: Runs the model on a batch; default is its preprocessor and then the model.

    Raises:
        ConfigError: The model has no batch norm to adapt, or an argument makes no sense.
        ImageError: There is no image, or features of the images are not finite; the statistics are the source's again.
    """
    if not (math.isfinite(prior) and prior >= 0):
        raise ConfigError(f'the prior of a batch-norm adaptation is a number of images from 0, found {prior}')
    if passes < 1:
        raise ConfigError(f'a batch-norm adaptation needs at least one pass, found {passes}')
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    layers = [_Layer(norm) for norm in norms if norm.running_mean is not None]
    if not layers:
        raise ConfigError(f'{type(model).__name__} has no batch norm, so there is nothing to adapt')
    images, was_training = 0, model.training
    model.eval()
    try:
        for number in range(passes):
            one_pass = _Pass(layers, float(prior), is_first=number == 0)
            images = one_pass.over(batches, forward or partial(_forward, model))
    except BaseException:
        for layer in layers:
            layer.restore()
        raise
    finally:
        model.train(was_training)
    return Adaptation(float(prior), images, len(layers), passes)


class _Pass:
    """Runs once over the images and collects each layer's statistics."""

    def __init__(self, layers: Sequence[_Layer], prior: float, *, is_first: bool) -> None:
        self.layers = layers
        self.prior = prior
        self.is_first = is_first
        self.images = 0
        self.reason = ''

    def over(self, batches: Iterable[Sequence[Any]], forward: Callable[[Sequence[Any]], Any]) -> int:
        """Run over the batches, merge over processes, set the layers' statistics; returns the total of images."""
        handles = [layer.module.register_forward_pre_hook(partial(self._look, layer)) for layer in self.layers]
        for layer in self.layers:
            layer.forget()
        try:
            with torch.no_grad(), together():
                for batch in batches:
                    # Counted before, because the layers look at it.
                    self.images += len(batch)
                    try:
                        forward(batch)
                    except ImageError as error:
                        self.images -= len(batch)
                        self.reason = f': {error}'
        finally:
            for handle in handles:
                handle.remove()
        parts = dist.all_gather_object((self.images, [layer.seen for layer in self.layers]))
        images = sum(part[0] for part in parts)
        if not images:
            raise ImageError(f'there is no image to adapt the batch norms to{self.reason}')
        for number, layer in enumerate(self.layers):
            layer.forget()
            for part in parts:
                layer.seen |= part[1][number]
            if not np.isfinite([layer.seen.mean, layer.seen.squares]).all():
                raise ImageError("the network's features are not finite on these images, so nothing can be adapted")
            layer.blend(images, self.prior)
        return images

    def _look(self, layer: _Layer, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        layer.seen |= Moments.of(inputs[0])
        if self.is_first:
            layer.blend(self.images, self.prior)


class ImageBatches:
    """Iterates over images in batches of one size, each process over its share; every pass is the same.

    The order is random, because a data set lists its files case by case, and the first batches should hold all cases.

    Args:
        load: Gives an image by its number, a tensor ``(3, H, W)``.
        count: Number of images.
        batch_px: Pixels of a batch; one image may have more.
        seed: Seed of the order.
    """

    def __init__(self, load: Callable[[int], Tensor], count: int, *, batch_px: int = BATCH_PX, seed: int = 0) -> None:
        self.load = load
        self.batch_px = batch_px
        self.order = _drawn(count, seed)

    def __iter__(self) -> Iterator[list[Tensor]]:
        waiting: dict[tuple[int, ...], list[Tensor]] = {}
        for number in self.order:
            image = self.load(number)
            group = waiting.setdefault(tuple(image.shape), [])
            group.append(image)
            if (len(group) + 1) * image.shape[-2] * image.shape[-1] > self.batch_px:
                yield waiting.pop(tuple(image.shape))
        yield from waiting.values()


def dataset_batches(dataset: Any) -> ImageBatches:
    """Make batches of a data set whose items hold a tensor ``inputs``."""
    return ImageBatches(lambda index: dataset[index]['inputs'], len(dataset))


def adapt_to_images(predictor: ImagePredictor, *, prior: float = ADAPT_BN_PRIOR) -> Adaptation:
    """Adapt a localizer to images, prepared as for prediction; images that cannot be predicted are skipped.

    Args:
        predictor: Predictor of the images; its localizer is changed.
        prior: Images that the source's statistics are worth.

    Raises:
        ConfigError: The model has no batch norm.
        ImageError: None of the images can be predicted.
    """
    batches = [[predictor.sources[number]] for number in _drawn(len(predictor.sources))]
    return adapt_batch_norm(
        predictor.localizer.model, batches, prior=prior, forward=lambda batch: predictor.predict(batch[0])
    )


def _drawn(count: int, seed: int = 0) -> list[int]:
    """Return this process's share of the numbers below ``count``, in random order."""
    order = np.random.default_rng(seed).permutation(count)
    return order[dist.get_rank() :: dist.get_world_size()].tolist()


def _forward(model: Any, batch: Sequence[Tensor]) -> Any:
    return model(model.data_preprocessor({'inputs': list(batch)})['inputs'])
