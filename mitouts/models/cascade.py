"""Proposes points with any localizer and verifies them with a patch classifier, in one model."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmengine.model import BaseModel
from numpy.typing import NDArray
from torch import Tensor

from mitouts.errors import ConfigError
from mitouts.functional.cascade import RULES, CombinationRule, combine_scores, crop_corner, reflected_indices
from mitouts.functional.suppression import suppress_by_distance
from mitouts.models.localizer import WSSLocalizer
from mitouts.models.reading import read_prediction
from mitouts.registry import MODELS
from mitouts.structures import PointSample

PARTS = ('proposer', 'verifier')
CROPS_AT_ONCE = 256
SUPPRESSION_PX = 25.0


@MODELS.register_module()
class CascadeLocalizer(BaseModel):
    """Scores each proposal of a localizer again by a classifier that looks at a crop around it.

    The design of CasNN (Chen et al. 2016) and of Tellez et al. 2018; the verifier is trained on the figures and on the
    proposer's own false proposals (:mod:`mitouts.engine.proposals`). Each part is trained by itself, so there is no
    loss.

    Args:
        proposer: Config of a localizer, whether it scores a map or finds points; its ``data_preprocessor`` is that of
            the cascade.
        verifier: Config of a ``WSSLocalizer`` that was trained on crops (``FigureCropDataset``).
        crop_px: Side of a crop; that of the verifier's training.
        max_proposals: At most this many proposals an image are verified, the strongest.
        min_score: Weaker proposals are not verified. Proposers differ in the scores of plain background, so
            ``max_proposals`` is the better limit.
        rule: Rule that combines both scores, see :func:`mitouts.functional.cascade.combine_scores`.
        suppression_px: Proposals within this distance of a stronger one are left out before any is verified, so that
            none of the few is of the same figure.

    Attributes:
        calibration: Values that a count needs beside weights; see :class:`~mitouts.models.localizer.WSSLocalizer`. Its
            ``proposer`` and ``verifier`` are the calibrations of the parts, without which a proposer's map could not be
            read.
        geometry: None: there is no score map.

    Raises:
        ConfigError: A number is out of range, an unknown rule, or a verifier that gives no image score.
    """

    geometry = None

    def __init__(
        self,
        proposer: dict[str, Any],
        verifier: dict[str, Any],
        crop_px: int = 64,
        max_proposals: int = 20,
        min_score: float = 0.01,
        rule: CombinationRule = 'product',
        suppression_px: float = SUPPRESSION_PX,
    ) -> None:
        if rule not in RULES:
            raise ConfigError(f'model.rule must be one of {", ".join(RULES)}, found {rule!r}')
        if crop_px < 1 or max_proposals < 1 or suppression_px < 0:
            raise ConfigError(
                'model.crop_px and model.max_proposals must be at least 1 and model.suppression_px at least 0, found '
                f'{crop_px}, {max_proposals} and {suppression_px}'
            )
        built = MODELS.build(proposer)
        super().__init__(data_preprocessor=built.data_preprocessor)
        self.proposer = built
        self.verifier = MODELS.build(verifier)
        if not isinstance(self.verifier, WSSLocalizer):
            raise ConfigError(f'model.verifier must be a WSSLocalizer, found a {type(self.verifier).__name__}')
        self.crop_px = crop_px
        self.max_proposals = max_proposals
        self.min_score = min_score
        self.rule = rule
        self.suppression_px = suppression_px
        self._calibration: dict[str, Any] = {}

    @property
    def min_side_px(self) -> int:
        """Smallest side that an image may have, in pixels: that of the proposer."""
        geometry = self.proposer.geometry
        return int(getattr(self.proposer, 'min_side_px', 1) if geometry is None else geometry.stride)

    @property
    def calibration(self) -> dict[str, Any]:
        """Calibration of the cascade, with those of its parts under their names."""
        return {**self._calibration, **{part: dict(getattr(self, part).calibration) for part in PARTS}}

    @calibration.setter
    def calibration(self, calibration: dict[str, Any]) -> None:
        # A validation gives thresholds of the whole and knows nothing of the parts, which keep theirs.
        for part in PARTS:
            if part in calibration:
                getattr(self, part).calibration = dict(calibration[part])
        self._calibration = {key: value for key, value in calibration.items() if key not in PARTS}

    def forward(
        self, inputs: Tensor, data_samples: list[PointSample] | None = None, mode: str = 'tensor'
    ) -> list[PointSample] | list[Tensor]:
        """Run both networks.

        Args:
            inputs: Tensor ``(N, 3, H, W)``, normalized.
            data_samples: One sample an image; needed for ``predict``.
            mode: ``predict`` gives the samples with ``pred_score`` and ``pred_points``, ``tensor`` the points
                ``(P, 3)`` of each image.

        Raises:
            ConfigError: ``loss`` is asked for.
        """
        if mode == 'loss':
            raise ConfigError(
                'a CascadeLocalizer has no loss: train its proposer and its verifier by configs of their own, then '
                'combine them, by a cascade stage or by mitouts cascade combine'
            )
        if mode not in ('predict', 'tensor'):
            raise ValueError(f"mode must be 'predict' or 'tensor', found {mode!r}")
        located = self._locate(inputs)
        if mode == 'tensor':
            return located
        assert data_samples is not None, 'mode predict needs data_samples'
        for sample, points in zip(data_samples, located):
            sample.pred_points = points
            sample.pred_score = float(points[0, 2]) if len(points) else 0.0
        return data_samples

    @torch.no_grad()
    def _locate(self, inputs: Tensor) -> list[Tensor]:
        size_px = (inputs.shape[-2], inputs.shape[-1])
        samples = [PointSample(metainfo={'ori_shape': size_px}) for _ in inputs]
        samples = self.proposer(inputs, samples, mode='predict')
        proposals = [self._proposals(sample) for sample in samples]
        counts = [len(each) for each in proposals]
        scores = np.split(self._verify(inputs, proposals), np.cumsum(counts)[:-1])
        return [
            self._combine(points, verified) if np.isfinite(sample.pred_score) else _broken()
            for sample, points, verified in zip(samples, proposals, scores)
        ]

    def _proposals(self, sample: PointSample) -> NDArray[np.float64]:
        points = read_prediction(self.proposer, sample, self.min_score).points
        return points[suppress_by_distance(points, self.suppression_px)[: self.max_proposals]]

    def _combine(self, points: NDArray[np.float64], verified: NDArray[np.float64]) -> Tensor:
        """Combine both scores of each proposal; returns points ``(P, 3)``, float32, by descending score."""
        combined = np.column_stack([points[:, :2], combine_scores(points[:, 2], verified, self.rule)])
        if not np.isfinite(combined).all():
            return _broken()
        return torch.from_numpy(combined[np.argsort(-combined[:, 2], kind='stable')].astype(np.float32))

    def _verify(self, inputs: Tensor, proposals: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return the verifier's score of every proposal, image after image."""
        crops = [self._crop(image, x, y) for image, points in zip(inputs, proposals) for x, y in points[:, :2].tolist()]
        scores = [np.zeros(0)]
        # The proposer's normalization may be another one.
        wanted = self.verifier.data_preprocessor
        for start in range(0, len(crops), CROPS_AT_ONCE):
            batch = torch.stack(crops[start : start + CROPS_AT_ONCE]).to(memory_format=wanted.memory_format)
            batch = wanted.renormalize(batch, self.data_preprocessor)
            scores.append(torch.sigmoid(self.verifier(batch).image_logit).double().cpu().numpy())
        return np.concatenate(scores)

    def _crop(self, image: Tensor, x: float, y: float) -> Tensor:
        left, top = crop_corner(x, y, self.crop_px)
        rows, columns = (
            torch.from_numpy(reflected_indices(first, self.crop_px, size)).to(image.device)
            for first, size in ((top, image.shape[1]), (left, image.shape[2]))
        )
        return image[:, rows[:, None], columns]


def _broken() -> Tensor:
    """Return a single point of NaN, so that the evaluator reports that scores are not finite."""
    return torch.full((1, 3), torch.nan)
