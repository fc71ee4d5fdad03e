"""What every model that the package brings must fulfil."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from mitouts.inference import Localizer
from mitouts.utils.defaults import ROTATIONS
from mitouts.zoo import CARD_SECTIONS

MOST_BYTES = 3 * 2**20


def shortcomings(path: Path) -> list[str]:
    """What a published model and its card lack, one line each."""
    lacks = []
    if path.stat().st_size > MOST_BYTES:
        lacks.append(f'has {path.stat().st_size / 2**20:.2f} MiB, at most 3 are allowed')
    checkpoint = torch.load(path, map_location='cpu', weights_only=True)
    if set(checkpoint) != {'meta', 'state_dict'}:
        lacks.append('holds more than weights and meta: use mitouts publish')
    calibration = checkpoint['meta'].get('mitouts', {})
    for key in ('image_threshold', 'map_threshold', 'slide_threshold'):
        if not isinstance(calibration.get(key), float) or not 0 < calibration[key] < 1:
            lacks.append(f'has no {key} between 0 and 1')
    for key in ('slide_threshold_reason', 'mpp', 'dataset', 'classes'):
        if not calibration.get(key):
            lacks.append(f'does not say its {key}')
    if 'stain_reference' not in calibration:
        lacks.append('does not say its stain_reference (None: images as they are)')
    if calibration.get('rotations', 1) not in ROTATIONS:
        lacks.append('has another number of rotations than 1 or 4')
    if not lacks:
        Localizer.from_checkpoint(path)
    card = path.with_suffix('.md')
    text = card.read_text(encoding='utf-8') if card.is_file() else ''
    parts = re.split(r'^## +(.+?) *$', text, flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2]))
    return lacks + [f'its card has no section "{name}"' for name in CARD_SECTIONS if not sections.get(name, '').strip()]
