"""Renders one synthetic H&E field: places cells, stains them and looks at them through a scanner."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mitouts.errors import ConfigError
from mitouts.synthetic.optics import RENDER_MPP, SCANNERS, check_scanners
from mitouts.synthetic.phantom.architecture import Architecture, draw_architecture, stain_ground
from mitouts.synthetic.phantom.figures import FIGURE_KINDS, render_figure
from mitouts.synthetic.phantom.nuclei import LOOK_ALIKE_KINDS, render_look_alike, render_nucleus
from mitouts.synthetic.phantom.scanners import acquire
from mitouts.synthetic.phantom.textures import TextureBank, texture_bank

FIGURE_WEIGHTS = dict(zip(FIGURE_KINDS, (0.3, 0.32, 0.13, 0.15, 0.10)))
"""Phase -> its share of the mitotic figures."""
LOOK_ALIKE_WEIGHTS = dict(zip(LOOK_ALIKE_KINDS, (0.3, 0.35, 0.35)))
"""Kind of look-alike -> its share of the look-alikes."""
SPECIAL_MARGIN_PX = 26
"""Least distance of a figure's or look-alike's centre from the border of its field."""


@dataclass(frozen=True)
class PhantomConfig:
    """Appearance of phantom fields.

    Attributes:
        mpp: Micrometres per pixel; cells are drawn at 0.25 and resampled where it differs.
        nuclei_per_mm2: Mean density of interphase nuclei; cases vary it.
        positive_share: Share of the fields that hold a mitotic figure.
        figure_counts: Probabilities of 1, 2, ... figures in a positive field.
        look_alikes_beside_figures: Probabilities of 1, 2, ... look-alikes in a positive field.
        look_alikes_alone: Probabilities of 1, 2, ... look-alikes in a negative field.
        dark_nuclei: Mean number of lymphocytes and smudged nuclei, dark but ordinary, that are tried in a field of
            256 px; those that would fall on other cells or into white space are left out.
        darkness: Range of the haematoxylin concentration of figures and look-alikes alike.
        scanners: Names in ``SCANNERS``.
    """

    size_px: int = 256
    mpp: float = RENDER_MPP
    nuclei_per_mm2: float = 7000.0
    positive_share: float = 0.5
    figure_counts: tuple[float, ...] = (0.85, 0.15)
    look_alikes_beside_figures: tuple[float, ...] = (0.75, 0.25)
    look_alikes_alone: tuple[float, ...] = (0.45, 0.4, 0.15)
    dark_nuclei: float = 5.0
    darkness: tuple[float, float] = (2.0, 3.0)
    scanners: tuple[str, ...] = tuple(SCANNERS)
    texture_seed: int = 0

    def __post_init__(self) -> None:
        if self.size_px * self.mpp < 96 * RENDER_MPP:
            raise ConfigError(
                f'a phantom field must be at least {96 * RENDER_MPP:g} um wide to hold its cells, '
                f'found size_px={self.size_px} at mpp={self.mpp:g}; enlarge size_px'
            )
        if not 0 <= self.positive_share <= 1:
            raise ConfigError(f'positive_share must lie between 0 and 1, found {self.positive_share}')
        check_scanners(self.scanners)
        for name in ('figure_counts', 'look_alikes_beside_figures', 'look_alikes_alone'):
            if abs(sum(getattr(self, name)) - 1) > 1e-6:
                raise ConfigError(f'{name} must be probabilities that sum to 1, found {getattr(self, name)}')


@dataclass(frozen=True)
class PhantomCase:
    """Properties shared by the fields of one case: scanner, staining and tissue."""

    scanner: str
    stains_od: np.ndarray
    nuclei_density: float
    nucleus_radius_px: float
    openness: float
    chromatin: float
    stroma_share: float
    empty_share: float
    cytoplasm: float
    basophilia: float
    froth: float
    border: float


@dataclass(frozen=True)
class PhantomField:
    """A rendered field and what it holds.

    Attributes:
        image: RGB uint8 (H, W, 3).
        points: Mitotic figures, (N, 2) float64, (x, y) in pixels; an ana- or telophase pair is one figure, its
            point the middle of the pair.
        kinds: Phase of each figure.
        scanner: Name in ``SCANNERS``.
        look_alike_points: Look-alikes, (M, 2) float64.
        look_alike_kinds: Kind of each look-alike.
    """

    image: np.ndarray
    points: np.ndarray
    kinds: tuple[str, ...]
    scanner: str
    look_alike_points: np.ndarray
    look_alike_kinds: tuple[str, ...]


def draw_case(config: PhantomConfig, rng: np.random.Generator, scanner: str | None = None) -> PhantomCase:
    """Draw a case; without ``scanner`` its scanner is one of the config's."""
    name = scanner if scanner is not None else str(rng.choice(config.scanners))
    source = SCANNERS[name]
    stains = np.array([source.hematoxylin_od, source.eosin_od]) + rng.normal(0, 0.025, (2, 3))
    stains = np.clip(stains, 0.03, None)
    stains /= np.linalg.norm(stains, axis=1, keepdims=True)
    stains *= rng.uniform(0.85, 1.15, (2, 1))
    return PhantomCase(
        scanner=name,
        stains_od=stains,
        nuclei_density=rng.uniform(0.7, 1.3),
        nucleus_radius_px=rng.uniform(12.5, 16.5),
        openness=rng.uniform(0.3, 0.9),
        chromatin=rng.uniform(0.75, 1.05),
        stroma_share=rng.uniform(0.08, 0.4),
        empty_share=rng.uniform(0.01, 0.12),
        cytoplasm=rng.uniform(0.38, 0.7),
        basophilia=rng.uniform(0.08, 0.3),
        froth=rng.uniform(0.0, 0.8),
        border=rng.uniform(-0.7, 0.25),
    )


def make_field(
    config: PhantomConfig,
    seed: np.random.SeedSequence,
    positive: bool,
    case: PhantomCase | None = None,
) -> PhantomField:
    """Render one field.

    Args:
        positive: Whether it holds mitotic figures. Every field holds look-alikes.
        case: Staining and tissue; drawn where None.

    Returns:
        The field; figures and look-alikes lie wholly inside it and apart from each other.
    """
    rng = np.random.default_rng(seed)
    case = case if case is not None else draw_case(config, rng)
    bank = texture_bank(config.texture_seed)
    size = round(config.size_px * config.mpp / RENDER_MPP)
    architecture = draw_architecture(size, case.stroma_share, case.empty_share, bank, rng)
    figures, look_alikes = _draw_kinds(config, positive, rng)
    special = place_special(architecture, len(figures) + len(look_alikes), rng)
    nuclei = place_nuclei(config, case, architecture, special, rng)
    territories = np.concatenate([special, nuclei[:, :2]])
    hematoxylin, eosin = stain_ground(
        architecture, territories, case.cytoplasm, case.basophilia, case.froth, case.border, bank, rng
    )
    for x, y, radius in nuclei:
        lay_nucleus(hematoxylin, eosin, (int(x), int(y)), radius, case, architecture, bank, rng)
    lay_dark_nuclei(hematoxylin, eosin, config, architecture, special, nuclei, bank, rng)
    points = np.zeros((len(special), 2))
    for index, (kind, (x, y)) in enumerate(zip(figures + look_alikes, special.tolist())):
        render = render_figure if index < len(figures) else render_look_alike
        patch = render(kind, rng.uniform(*config.darkness), case.cytoplasm, bank, rng)
        patch.lay_over(hematoxylin, eosin, int(x), int(y))
        points[index] = x + patch.centroid[0], y + patch.centroid[1]
    image = acquire(hematoxylin, eosin, SCANNERS[case.scanner], case.stains_od, rng)
    if size != config.size_px:
        image = cv2.resize(image, (config.size_px, config.size_px), interpolation=cv2.INTER_AREA)
        points = (points + 0.5) * (config.size_px / size) - 0.5
    return PhantomField(image, points[: len(figures)], figures, case.scanner, points[len(figures) :], look_alikes)


def _draw_kinds(
    config: PhantomConfig, positive: bool, rng: np.random.Generator
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    figure_count = 1 + rng.choice(len(config.figure_counts), p=config.figure_counts) if positive else 0
    weights = config.look_alikes_beside_figures if positive else config.look_alikes_alone
    look_alike_count = 1 + rng.choice(len(weights), p=weights)
    figures = rng.choice(list(FIGURE_WEIGHTS), figure_count, p=list(FIGURE_WEIGHTS.values()))
    look_alikes = rng.choice(list(LOOK_ALIKE_WEIGHTS), look_alike_count, p=list(LOOK_ALIKE_WEIGHTS.values()))
    return tuple(figures.tolist()), tuple(look_alikes.tolist())


def place_special(architecture: Architecture, count: int, rng: np.random.Generator) -> np.ndarray:
    """Choose positions for figures and look-alikes: inside the margin, in tissue, mostly in tumour.

    Args:
        architecture: Nests and white spaces of the field.

    Returns:
        Whole-pixel centres (count, 2), float64, 64 px apart; nearer where the field is too small.
    """
    size = len(architecture.nest)
    spaces = cv2.blur(architecture.empty, (41, 41))
    stroma = cv2.blur(1 - architecture.nest, (41, 41))
    spacing, tolerance = 64.0, 0.08
    placed = np.zeros((0, 2))
    while len(placed) < count:
        candidates = rng.integers(SPECIAL_MARGIN_PX, size - SPECIAL_MARGIN_PX, (64, 2))
        x, y = candidates.T
        keep = (spaces[y, x] < tolerance) & (rng.random(len(candidates)) < 1.1 - stroma[y, x])
        for candidate in candidates[keep].astype(float):
            if len(placed) < count and np.all(np.hypot(*(placed - candidate).T) >= spacing):
                placed = np.concatenate([placed, candidate[None]])
        spacing, tolerance = 0.9 * spacing, 1.3 * tolerance
    return placed


def place_nuclei(
    config: PhantomConfig,
    case: PhantomCase,
    architecture: Architecture,
    special: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Choose positions for interphase nuclei: few overlap, they are sparse in stroma, and none are in white spaces.

    Args:
        case: Density and size of the case's nuclei.
        architecture: Nests and white spaces of the field.
        special: Centres (N, 2) of figures and look-alikes, whose cells are kept free.

    Returns:
        (x, y, radius) of each, (M, 3) float64 in pixels, centres on whole pixels and up to 16 px outside the field.
    """
    size = len(architecture.nest)
    expected = config.nuclei_per_mm2 * case.nuclei_density * (size * RENDER_MPP / 1000) ** 2
    wanted = int(rng.poisson(expected))
    reach = 16
    candidates = rng.integers(-reach, size + reach, (wanted * 6, 2))
    inside = np.clip(candidates, 0, size - 1)
    nest = architecture.nest[inside[:, 1], inside[:, 0]]
    empty = architecture.empty[inside[:, 1], inside[:, 0]]
    keep = (empty < 0.3) & (rng.random(len(candidates)) < 0.35 + 0.65 * nest)
    radii = case.nucleus_radius_px * np.clip(rng.normal(1, 0.16, len(candidates)), 0.65, 1.5)
    placed = np.zeros((wanted + len(special), 3))
    placed[: len(special), :2] = special
    placed[: len(special), 2] = 21
    total = len(special)
    for (x, y), radius in zip(candidates[keep].tolist(), radii[keep].tolist()):
        if total == len(placed):
            break
        others = placed[:total]
        gap = np.hypot(others[:, 0] - x, others[:, 1] - y) - 0.92 * (others[:, 2] + radius)
        if gap.min(initial=np.inf) >= 0:
            placed[total] = x, y, radius
            total += 1
    return placed[len(special) : total]


def lay_nucleus(
    hematoxylin: np.ndarray,
    eosin: np.ndarray,
    centre: tuple[int, int],
    radius_px: float,
    case: PhantomCase,
    architecture: Architecture,
    bank: TextureBank,
    rng: np.random.Generator,
) -> None:
    """Draw an interphase nucleus onto both planes in place: round in a nest, spindly along the fibres outside.

    Args:
        hematoxylin: Concentration, float32 (H, H).
        eosin: Concentration, float32 (H, H).
        centre: (x, y) in whole pixels; parts outside the planes are cut off.
        radius_px: Radius that it would have if it were round.
        case: Chromatin of the case.
        architecture: Nests and fibres of the planes.
        rng: Everything that makes this nucleus differ from the next.
    """
    last = len(hematoxylin) - 1
    x, y = centre
    in_nest = architecture.nest[min(max(y, 0), last), min(max(x, 0), last)] > 0.5
    if in_nest:
        stretch, angle = rng.uniform(1.0, 1.22), rng.uniform(0, np.pi)
        openness = float(np.clip(rng.normal(case.openness, 0.15), 0, 1))
        darkness = case.chromatin * rng.uniform(0.8, 1.2)
    else:
        stretch, angle = rng.uniform(1.3, 1.9), architecture.fibre_angle + rng.normal(0, 0.35)
        radius_px *= 0.72
        openness, darkness = rng.uniform(0.0, 0.5), case.chromatin * rng.uniform(0.9, 1.5)
    patch = render_nucleus((radius_px * stretch, radius_px / stretch), angle, darkness, openness, bank, rng)
    patch.lay_over(hematoxylin, eosin, x, y)


def lay_dark_nuclei(
    hematoxylin: np.ndarray,
    eosin: np.ndarray,
    config: PhantomConfig,
    architecture: Architecture,
    special: np.ndarray,
    nuclei: np.ndarray,
    bank: TextureBank,
    rng: np.random.Generator,
) -> None:
    """Draw lymphocytes and smudged nuclei onto both planes in place, between the other cells.

    Args:
        hematoxylin: Concentration, float32 (H, H).
        eosin: Concentration, float32 (H, H).
        config: How many are tried.
        architecture: White spaces of the planes, which stay empty.
        special: Points (N, 2) that their centres keep 36 px away from.
        nuclei: Interphase nuclei (M, 3) as (x, y, radius), which they keep 8 px away from.
    """
    size = len(hematoxylin)
    for _ in range(rng.poisson(config.dark_nuclei * (size / 256) ** 2)):
        x, y = rng.integers(0, size, 2).tolist()
        to_special = np.hypot(special[:, 0] - x, special[:, 1] - y)
        to_nuclei = np.hypot(nuclei[:, 0] - x, nuclei[:, 1] - y) - nuclei[:, 2]
        crowded = to_special.min(initial=np.inf) < 36 or to_nuclei.min(initial=np.inf) < 8
        if crowded or architecture.empty[y, x] > 0.3:
            continue
        radius, stretch = rng.uniform(8.0, 10.5), rng.choice((1.05, 1.7))
        darkness = rng.uniform(1.3, 1.9)
        patch = render_nucleus((radius * stretch, radius / stretch), rng.uniform(0, np.pi), darkness, 0.1, bank, rng)
        patch.lay_over(hematoxylin, eosin, x, y)
