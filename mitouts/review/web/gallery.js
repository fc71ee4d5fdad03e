// A grid of thumbs of which only the rows on the screen exist.

import { thumbAddress } from './api.js';
import { byId, element, shape } from './dom.js';
import { clamp } from './geometry.js';
import { caseWords, stateWord, stateWords } from './words.js';

const TILE_PX = 112;
const WIDE_TILE_PX = 128;
const WIDE_PX = 720;
const GAP_PX = 8;
const ROWS_BEYOND = 1;
const SETTLED_MS = 80;

export class Gallery {
  /** What a tile says besides its state, by position; set by open mode. */
  note = null;
  onOpen = () => {};

  #grid = byId('grid');
  #samples;
  #filters;
  #database;
  #canvas = element('div', { class: 'grid-canvas', role: 'presentation' });
  #empty = element('p', { class: 'grid-empty', text: 'No sample matches these filters.' });
  #positions = [];
  #rows = new Map();
  #active = 0;
  #columns = 1;
  #tilePx = TILE_PX;
  #frame = null;
  #settled = null;

  constructor(samples, filters, database) {
    this.#samples = samples;
    this.#filters = filters;
    this.#database = database;
    this.#grid.append(this.#canvas);
    this.#grid.setAttribute('role', 'grid');
    this.#grid.setAttribute('aria-label', 'Samples');
    this.#grid.addEventListener('scroll', () => this.#draw(), { passive: true });
    this.#grid.addEventListener('click', (event) => this.#clicked(event));
    this.#grid.addEventListener('keydown', (event) => this.#pressed(event));
    this.#grid.addEventListener('focusin', (event) => this.#focused(event));
    new ResizeObserver(() => this.#resized()).observe(this.#grid);
    filters.addEventListener('change', () => this.refilter());
    samples.addEventListener('change', () => this.#relabel());
  }

  /** The positions that are shown, ascending. */
  get positions() {
    return this.#positions;
  }

  /** Apply the filters again. */
  refilter() {
    const active = this.#positions[this.#active];
    this.#positions = this.#filters.positions;
    this.#filters.say(this.#positions.length);
    const kept = this.#positions.findIndex((position) => position >= active);
    this.#active = Math.max(0, kept);
    this.#measure();
    this.#layOut();
  }

  /** Make a sample the active one, in view and focused. */
  focus(position) {
    const index = position < 0 ? this.#active : this.#positions.findIndex((other) => other >= position);
    this.#activate(index < 0 ? Math.max(0, this.#positions.length - 1) : index);
  }

  #resized() {
    if (this.#measure()) this.#layOut();
    else this.#draw();
  }

  // Whether the size of the tiles is another now.
  #measure() {
    const width = this.#grid.clientWidth - 2 * GAP_PX;
    if (width <= 0) return false; // the single view is shown
    const least = width > WIDE_PX ? WIDE_TILE_PX : TILE_PX;
    const columns = Math.max(1, Math.floor((width + GAP_PX) / (least + GAP_PX)));
    const tilePx = Math.floor((width + GAP_PX) / columns) - GAP_PX;
    const differs = columns !== this.#columns || tilePx !== this.#tilePx;
    this.#columns = columns;
    this.#tilePx = tilePx;
    return differs;
  }

  #layOut() {
    const focused = this.#canvas.contains(document.activeElement);
    this.#grid.style.setProperty('--columns', this.#columns);
    this.#grid.style.setProperty('--tile', `${this.#tilePx}px`);
    this.#grid.style.setProperty('--gap', `${GAP_PX}px`);
    this.#grid.setAttribute('aria-rowcount', this.#rowCount);
    this.#grid.setAttribute('aria-colcount', this.#columns);
    this.#canvas.style.height = `${this.#rowCount * this.#rowPx + GAP_PX}px`;
    for (const row of this.#rows.keys()) this.#remove(row);
    if (this.#positions.length) this.#empty.remove();
    else this.#grid.append(this.#empty);
    this.#drawNow();
    if (focused) this.#activate(this.#active);
  }

  get #rowCount() {
    return Math.ceil(this.#positions.length / this.#columns);
  }

  get #rowPx() {
    return this.#tilePx + (this.note ? 44 : 26) + GAP_PX;
  }

  #draw() {
    this.#frame ??= requestAnimationFrame(() => this.#drawNow());
  }

  #drawNow() {
    this.#frame = null;
    const top = this.#grid.scrollTop;
    const first = Math.floor(top / this.#rowPx) - ROWS_BEYOND;
    const last = Math.floor((top + this.#grid.clientHeight) / this.#rowPx) + ROWS_BEYOND;
    const wanted = new Set([Math.floor(this.#active / this.#columns)]); // or its focus would be lost
    for (let row = first; row <= last; row += 1) wanted.add(row);
    for (const row of this.#rows.keys()) if (!wanted.has(row)) this.#remove(row);
    for (const row of wanted) if (row >= 0 && row < this.#rowCount && !this.#rows.has(row)) this.#add(row);
    // Rows that fly past are not worth a request.
    clearTimeout(this.#settled);
    this.#settled = setTimeout(() => this.#loadThumbs(), this.#settled === null ? 0 : SETTLED_MS);
  }

  #add(row) {
    const start = row * this.#columns;
    const shown = this.#positions.slice(start, start + this.#columns);
    const tiles = shown.map((position, column) => this.#tile(position, start + column, column));
    const node = element('div', { role: 'row', class: 'grid-row', 'aria-rowindex': row + 1 }, ...tiles);
    node.style.transform = `translateY(${row * this.#rowPx + GAP_PX}px)`;
    const after = [...this.#rows].find(([other]) => other > row);
    this.#canvas.insertBefore(node, after ? after[1] : null);
    this.#rows = new Map([...this.#rows, [row, node]].sort(([a], [b]) => a - b));
  }

  #remove(row) {
    const node = this.#rows.get(row);
    for (const image of node.querySelectorAll('img')) image.removeAttribute('src'); // or it would still be loaded
    node.remove();
    this.#rows.delete(row);
  }

  #tile(position, index, column) {
    const image = element('img', { alt: '', width: 128, height: 128, draggable: 'false' });
    image.addEventListener('error', () => image.removeAttribute('src')); // asked for again after the next scrolling
    const tile = element(
      'div',
      { role: 'gridcell', class: 'tile', 'aria-colindex': column + 1, tabindex: index === this.#active ? 0 : -1, 'data-index': index },
      element('div', { class: 'tile-image' }, image),
      element('div', { class: 'tile-state' }),
    );
    if (this.note) tile.append(element('div', { class: 'tile-note', text: this.note(position) }));
    this.#label(tile, position);
    return tile;
  }

  #label(tile, position) {
    const pending = this.#samples.isPending(position);
    const state = this.#samples.state(position);
    const id = this.#samples.id(position);
    const words = pending ? 'not saved yet' : stateWords(state);
    const noted = this.note ? `, ${this.note(position)}` : '';
    const name = `Sample ${id}, ${words}, ${caseWords(this.#samples.caseOf(position))}${noted}`;
    if (tile.getAttribute('aria-label') === name) return;
    tile.setAttribute('aria-label', name);
    tile.classList.toggle('decided', !pending && state !== 'open');
    tile.querySelector('.tile-state').replaceChildren(
      shape(pending ? 'pending' : state),
      element('span', { class: 'tile-word', text: pending ? 'saving' : stateWord(state) }),
      element('span', { class: 'tile-number', text: id }),
    );
  }

  #relabel() {
    for (const tile of this.#canvas.querySelectorAll('.tile')) {
      this.#label(tile, this.#positions[Number(tile.dataset.index)]);
    }
  }

  #loadThumbs() {
    for (const tile of this.#canvas.querySelectorAll('.tile')) {
      const image = tile.querySelector('img');
      const position = this.#positions[Number(tile.dataset.index)];
      if (!image.hasAttribute('src')) image.src = thumbAddress(this.#database, this.#samples.id(position));
    }
  }

  #clicked(event) {
    const tile = event.target.closest('.tile');
    if (tile) this.#open(Number(tile.dataset.index));
  }

  #open(index) {
    this.#active = index;
    this.onOpen(this.#positions[index]);
  }

  #focused(event) {
    const tile = event.target.closest('.tile');
    if (!tile || Number(tile.dataset.index) === this.#active) return;
    this.#active = Number(tile.dataset.index);
    this.#setTabStops();
  }

  #pressed(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || !this.#positions.length) return;
    const page = Math.max(1, Math.floor(this.#grid.clientHeight / this.#rowPx)) * this.#columns;
    const steps = {
      ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.#columns, ArrowDown: this.#columns, PageUp: -page, PageDown: page,
      Home: -Infinity, End: Infinity,
    };
    if (event.key in steps) this.#activate(this.#stepped(steps[event.key]));
    else if ((event.key === 'Enter' || event.key === ' ') && !event.repeat) this.#open(this.#active);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #stepped(step) {
    const last = this.#positions.length - 1;
    const target = this.#active + step;
    const inColumn = Math.abs(step) > 1 && Number.isFinite(step);
    if (inColumn && target < 0) return this.#active % this.#columns;
    return clamp(target, 0, last);
  }

  #activate(index) {
    this.#active = index;
    const row = Math.floor(index / this.#columns);
    const top = row * this.#rowPx;
    const bottom = top + this.#rowPx + GAP_PX;
    if (top < this.#grid.scrollTop) this.#grid.scrollTop = top;
    if (bottom > this.#grid.scrollTop + this.#grid.clientHeight) this.#grid.scrollTop = bottom - this.#grid.clientHeight;
    this.#drawNow();
    this.#setTabStops();
    this.#canvas.querySelector(`[data-index="${index}"]`)?.focus({ preventScroll: true });
  }

  #setTabStops() {
    for (const tile of this.#canvas.querySelectorAll('.tile')) {
      tile.tabIndex = Number(tile.dataset.index) === this.#active ? 0 : -1;
    }
  }
}
