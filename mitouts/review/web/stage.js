// The crop at some zoom, what is drawn upon it, and the pointers that drag, pinch and click it.

import { byId, element, svg } from './dom.js';
import { View, clamp, scaleBar, zoomsOf } from './geometry.js';

const CLICK_PX = 6;
const MARK_SHARE = 0.06;
const CLOSEST = 0.5;
const WHEEL = 0.0015;

export class Stage {
  /** Called with the offset that was clicked. */
  onClick = () => {};
  /** Called when the zoom changes, with the index of the zoom or -1 between them. */
  onZoom = () => {};
  /** Gives the SVG nodes to draw; `at` takes an offset to the stage, `scale` is CSS pixels a level-0 pixel. */
  drawings = () => [];

  #place = byId('stage');
  #overlay = svg('svg', { class: 'overlay', 'aria-hidden': 'true' });
  #bar = element('div', { class: 'scale-bar', role: 'img' });
  #barLine = element('div', { class: 'scale-line' });
  #barText = element('span', { class: 'scale-text' });
  #message = element('p', { class: 'stage-message' });
  #item = null;
  #image = null;
  #view = null;
  #zoom = 1;
  #pointers = new Map();
  #moved = false;

  constructor() {
    this.#bar.append(this.#barLine, this.#barText);
    this.#place.append(this.#overlay, this.#bar, this.#message);
    this.#place.addEventListener('pointerdown', (event) => this.#pressed(event));
    this.#place.addEventListener('pointermove', (event) => this.#dragged(event));
    this.#place.addEventListener('pointerup', (event) => this.#released(event));
    this.#place.addEventListener('pointercancel', (event) => this.#pointers.delete(event.pointerId));
    this.#place.addEventListener('wheel', (event) => this.#wheeled(event), { passive: false });
    new ResizeObserver(() => this.#resized()).observe(this.#place);
    this.clear('');
  }

  /** The part of the crop that is shown; null while there is none. */
  get view() {
    return this.#view;
  }

  get zooms() {
    return this.#item ? zoomsOf(this.#item) : [];
  }

  /** Show a crop, centred; a whole image is first shown at its widest. */
  show(item, image) {
    this.#image?.remove();
    this.#item = item;
    this.#image = image;
    image.className = 'crop';
    this.#place.prepend(image);
    this.#message.hidden = true;
    this.#overlay.removeAttribute('hidden');
    this.#bar.hidden = false;
    this.#view = new View(item.field_px, this.#place.clientWidth, 1);
    this.setZoom(item.kind === 'image' ? this.zooms.length - 1 : this.#zoom, item.kind !== 'image');
  }

  /** Take the crop away and say why. */
  clear(message) {
    this.#image?.remove();
    this.#item = this.#image = this.#view = null;
    this.#pointers.clear();
    this.#message.textContent = message;
    this.#message.hidden = !message;
    this.#overlay.setAttribute('hidden', '');
    this.#bar.hidden = true;
  }

  /** Choose one of the zooms; `remember` keeps it for the next samples. */
  setZoom(index, remember = true) {
    if (!this.#view) return;
    if (remember) this.#zoom = index;
    this.#view.zoomTo(this.zooms[index].sidePx);
    this.draw();
  }

  nextZoom() {
    const sides = this.zooms.map((zoom) => zoom.sidePx);
    const wider = sides.findIndex((side) => side > this.#view?.sidePx + 1e-6);
    this.setZoom(Math.max(0, wider));
  }

  /** Move the crop by a share of what is shown. */
  pan(right, down) {
    if (!this.#view) return;
    const [x, y] = this.#view.centre;
    this.#view.moveTo([x + right * this.#view.sidePx, y + down * this.#view.sidePx]);
    this.draw();
  }

  recentre() {
    this.#view?.moveTo([0, 0]);
    this.draw();
  }

  focus() {
    this.#place.focus({ preventScroll: true });
  }

  setPointing(pointing) {
    this.#place.classList.toggle('pointing', pointing);
  }

  draw() {
    const view = this.#view;
    if (!view || !view.stagePx) return;
    const [left, top] = view.toStage([-view.fieldPx / 2, -view.fieldPx / 2]);
    this.#image.style.width = this.#image.style.height = `${view.fieldPx * view.scale}px`;
    this.#image.style.transform = `translate(${left}px, ${top}px)`;
    const bar = scaleBar(view.sidePx, this.#item.mpp, view.stagePx);
    this.#barLine.style.width = `${bar.widthPx}px`;
    this.#barText.textContent = bar.text;
    this.#bar.setAttribute('aria-label', `Scale bar: ${bar.text}`);
    const marks = this.#item.kind === 'image' ? [] : this.#marks();
    this.#overlay.replaceChildren(...this.#border(), ...marks, ...this.drawings((offset) => view.toStage(offset), view.scale));
    this.onZoom(this.zooms.findIndex((zoom) => Math.abs(zoom.sidePx - view.sidePx) < 1e-6));
  }

  // Lines at the four edges that point at the anchor and leave the cell free.
  #marks() {
    const end = this.#view.stagePx;
    const [x, y] = this.#view.toStage([0, 0]);
    const length = MARK_SHARE * end;
    const lines = [];
    if (x > 0 && x < end) lines.push([x, 0, x, length], [x, end - length, x, end]);
    if (y > 0 && y < end) lines.push([0, y, length, y], [end - length, y, end, y]);
    return lines.flatMap(([x1, y1, x2, y2]) => ['halo', 'line'].map((name) => svg('line', { class: `mark-${name}`, x1, y1, x2, y2 })));
  }

  // Where the image ends within the crop: what lies beyond is shown for orientation, and cannot be marked.
  #border() {
    const [left, top, right, bottom] = this.#item.image_px;
    const half = this.#view.fieldPx / 2;
    if ([-left, -top, right, bottom].every((reach) => reach >= half)) return [];
    const [x, y] = this.#view.toStage([left, top]);
    const [endX, endY] = this.#view.toStage([right, bottom]);
    const place = { x, y, width: endX - x, height: endY - y };
    return ['halo', 'line'].map((name) => svg('rect', { class: `border-${name}`, ...place }));
  }

  #resized() {
    const stagePx = this.#place.clientWidth;
    this.#overlay.setAttribute('viewBox', `0 0 ${stagePx || 1} ${stagePx || 1}`);
    if (!this.#view) return;
    this.#view.stagePx = stagePx;
    this.draw();
  }

  #position(event) {
    const box = this.#place.getBoundingClientRect();
    return [event.clientX - box.left - this.#place.clientLeft, event.clientY - box.top - this.#place.clientTop];
  }

  #zoomBy(factor, place) {
    const sides = this.zooms.map((zoom) => zoom.sidePx);
    const side = clamp(this.#view.sidePx * factor, Math.min(...sides) * CLOSEST, Math.max(...sides));
    this.#view.zoomTo(side, place);
    this.draw();
  }

  #wheeled(event) {
    if (!this.#view) return;
    event.preventDefault();
    this.#zoomBy(Math.exp(event.deltaY * WHEEL), this.#position(event));
  }

  #pressed(event) {
    if (!this.#view || event.button !== 0) return;
    this.#moved = this.#pointers.size > 0; // a second finger is no click
    this.#pointers.set(event.pointerId, this.#position(event));
    this.#place.setPointerCapture(event.pointerId);
  }

  #dragged(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before || !this.#view) return;
    const now = this.#position(event);
    if (!this.#moved && Math.hypot(now[0] - before[0], now[1] - before[1]) < CLICK_PX) return;
    this.#moved = true;
    const others = [...this.#pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    if (others.length) this.#zoomBy(distance(before, others[0]) / Math.max(1, distance(now, others[0])), middle(now, others[0]));
    else this.pan((before[0] - now[0]) / this.#view.stagePx, (before[1] - now[1]) / this.#view.stagePx);
    this.#pointers.set(event.pointerId, now);
  }

  #released(event) {
    if (!this.#pointers.delete(event.pointerId) || this.#pointers.size || this.#moved || !this.#view) return;
    this.onClick(this.#view.toOffset(this.#position(event)));
  }
}

const distance = ([x, y], [otherX, otherY]) => Math.hypot(x - otherX, y - otherY);
const middle = ([x, y], [otherX, otherY]) => [(x + otherX) / 2, (y + otherY) / 2];
