// Lengths and positions of the crop on the screen. Offsets are [dx, dy] in level-0 pixels from the anchor, whose centre
// is the centre of the crop.

const WIDTHS_UM = [24, 48, 96];
// As the server cuts crops of unknown scale.
const UNKNOWN_MPP = 0.25;
const NICE = [1, 2, 5];
const LONGEST_BAR = 0.25;

/** The zooms of a sample: how many level-0 pixels the stage shows along a side, and that in words; a whole image, too. */
export function zoomsOf({ kind, mpp, field_px: fieldPx }) {
  const widest = WIDTHS_UM.at(-1) / (mpp || UNKNOWN_MPP);
  const zooms = WIDTHS_UM.map((um) => {
    const sidePx = um / (mpp || UNKNOWN_MPP);
    return { sidePx, text: mpp ? `${um} µm` : `${Math.round(sidePx)} px` };
  });
  return kind === 'image' && fieldPx > widest + 2 ? [...zooms, { sidePx: fieldPx, text: 'whole' }] : zooms;
}

/** The longest bar of 1, 2 or 5 times a power of ten that takes at most a quarter of the stage. */
export function scaleBar(sidePx, mpp, stagePx) {
  const unit = mpp || 1;
  const limit = sidePx * unit * LONGEST_BAR;
  const power = 10 ** Math.floor(Math.log10(limit));
  const length = power * Math.max(...NICE.filter((factor) => factor * power <= limit));
  return { widthPx: (length / unit / sidePx) * stagePx, text: `${Number(length.toPrecision(3))} ${mpp ? 'µm' : 'px'}` };
}

/** What part of the crop is on the stage. */
export class View {
  /** The crop is `fieldPx` wide; the stage has `stagePx` CSS pixels a side and shows `sidePx` of the crop's. */
  constructor(fieldPx, stagePx, sidePx) {
    this.fieldPx = fieldPx;
    this.stagePx = stagePx;
    this.sidePx = sidePx;
    this.centre = [0, 0];
  }

  /** CSS pixels a level-0 pixel. */
  get scale() {
    return this.stagePx / this.sidePx;
  }

  /** Where an offset is on the stage, in CSS pixels from its left top corner. */
  toStage([dx, dy]) {
    const half = this.stagePx / 2;
    return [half + (dx - this.centre[0]) * this.scale, half + (dy - this.centre[1]) * this.scale];
  }

  /** The offset that is shown at a place of the stage. */
  toOffset([x, y]) {
    const half = this.stagePx / 2;
    return [this.centre[0] + (x - half) / this.scale, this.centre[1] + (y - half) / this.scale];
  }

  /** Show `centre` in the middle, as far as the crop reaches. */
  moveTo(centre) {
    const limit = Math.max(0, (this.fieldPx - this.sidePx) / 2);
    this.centre = centre.map((value) => clamp(value, -limit, limit));
  }

  /** Show `sidePx`; what is at `place` of the stage (CSS pixels) stays there. */
  zoomTo(sidePx, place = [this.stagePx / 2, this.stagePx / 2]) {
    const fixed = this.toOffset(place);
    this.sidePx = sidePx;
    const [dx, dy] = this.toOffset(place);
    this.moveTo([this.centre[0] + fixed[0] - dx, this.centre[1] + fixed[1] - dy]);
  }

  /** The nearest offset that is on the stage. */
  inside([dx, dy]) {
    const half = this.sidePx / 2;
    return [clamp(dx, this.centre[0] - half, this.centre[0] + half), clamp(dy, this.centre[1] - half, this.centre[1] + half)];
  }
}

/** An offset with a tenth of a pixel, which is finer than anyone points. */
export const rounded = (offset) => offset.map((value) => Math.round(10 * value) / 10 + 0);

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
