// The point that a rater moves and the figures they add, before and after the decision they are saved with.

import { svg } from './dom.js';
import { clamp, rounded } from './geometry.js';

const MOST_ADDED = 50;
const RING_UM = 6;
const RING_PX = 16;
const CROSS_PX = [5, 16];
const STEP_PX = 1;
const REPEATED_STEP_PX = 3;
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class PointEditor extends EventTarget {
  /** `null`, `move` or `add`. */
  mode = null;

  #stage;
  #drafts = new Map();
  #item = null;
  #crosshair = [0, 0];

  /** Fires `change` when the mode or a point changes. */
  constructor(stage) {
    super();
    this.#stage = stage;
    stage.onClick = (offset) => this.mode && this.#place(offset);
  }

  /** Edit this sample's points: those that were left here unsaved, or those of its decision. */
  show(item) {
    this.#item = item;
    this.setMode(null);
  }

  /** Take what the server now says of the sample that is shown. */
  update(item) {
    this.#item = item;
    this.#changed();
  }

  get draft() {
    return this.#drafts.get(this.#item?.id) ?? saved(this.#item);
  }

  /** Whether points are shown that no decision holds. */
  get unsaved() {
    return this.#drafts.has(this.#item?.id);
  }

  /** Forget the points that were not saved, for instance because they now are. */
  forget(id) {
    this.#drafts.delete(id);
  }

  setMode(mode) {
    this.mode = mode === 'move' && this.#item?.kind === 'image' ? null : mode;
    if (mode) this.#crosshair = this.#stage.view.inside(mode === 'move' ? this.draft.moved ?? [0, 0] : this.#stage.view.centre);
    this.#stage.setPointing(this.mode !== null);
    this.#changed();
  }

  /** Handle a key of a mode; true when it was one. */
  handleKey(event) {
    if (!this.mode) return false;
    if (event.key in STEPS && !event.shiftKey) this.#step(STEPS[event.key], event.repeat);
    else if (event.key === 'Enter' && !event.repeat) this.#place(this.#crosshair);
    else if (event.key === 'Escape') this.setMode(null);
    else return false;
    return true;
  }

  /** Remove the figure that was added last, or put a moved point back. */
  removeLast() {
    const { moved, added } = this.draft;
    if (this.mode === 'move' || !added.length) this.#keep({ moved: null, added });
    else this.#keep({ moved, added: added.slice(0, -1) });
  }

  /** Rings around the points and, in a mode, the crosshair. */
  drawings(at, scale) {
    if (!this.#item) return [];
    const { moved, added } = this.draft;
    const radius = Math.max(RING_PX, this.#item.mpp ? (RING_UM / this.#item.mpp) * scale : 0);
    const points = [...(moved ? [[moved, 'moved']] : []), ...added.map((offset) => [offset, 'added'])];
    return [
      ...points.flatMap(([offset, name]) => ring(at(offset), radius, name)),
      ...(this.mode ? crosshair(at(this.#crosshair)) : []),
    ];
  }

  #step([right, down], repeated) {
    const step = repeated ? REPEATED_STEP_PX : STEP_PX;
    this.#crosshair = this.#stage.view.inside([this.#crosshair[0] + step * right, this.#crosshair[1] + step * down]);
    this.#changed();
  }

  #place(offset) {
    // What lies around the image is not reviewed.
    const [left, top, right, bottom] = this.#item.image_px;
    const point = rounded([clamp(offset[0], left, right), clamp(offset[1], top, bottom)]);
    const { moved, added } = this.draft;
    this.#crosshair = point;
    if (this.mode === 'move') this.#keep({ moved: point, added });
    else if (added.length < MOST_ADDED) this.#keep({ moved, added: [...added, point] });
  }

  #keep(draft) {
    if (JSON.stringify(draft) === JSON.stringify(saved(this.#item))) this.#drafts.delete(this.#item.id);
    else this.#drafts.set(this.#item.id, draft);
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }
}

function saved(item) {
  return { moved: item?.decision?.moved_px ?? null, added: item?.decision?.added_px ?? [] };
}

function ring([cx, cy], r, name) {
  const halo = svg('circle', { class: 'mark-halo', cx, cy, r });
  return [halo, svg('circle', { class: `mark-line ${name}`, cx, cy, r }), svg('circle', { class: 'mark-dot', cx, cy, r: 2 })];
}

function crosshair([x, y]) {
  const [near, far] = CROSS_PX;
  const arms = [[-far, 0, -near, 0], [near, 0, far, 0], [0, -far, 0, -near], [0, near, 0, far]];
  return arms.flatMap(([left, top, right, bottom]) =>
    ['halo', 'line'].map((name) =>
      svg('line', { class: `mark-${name} crosshair`, x1: x + left, y1: y + top, x2: x + right, y2: y + bottom }),
    ),
  );
}
