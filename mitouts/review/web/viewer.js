// One sample at a time.

import { ApiError } from './api.js';
import { byId, element } from './dom.js';
import { neighbour, nextOpen } from './samples.js';
import { caseWords, number, plural, stateWords } from './words.js';

const RETRY_MS = [1000, 2000, 4000, 8000];
const PAN = 0.15;
const PANS = { ArrowLeft: [-PAN, 0], ArrowRight: [PAN, 0], ArrowUp: [0, -PAN], ArrowDown: [0, PAN] };
const ANSWERS = { m: 'mitotic', n: 'look_alike', u: 'unsure' };
const QUESTIONS = {
  point: { text: 'Is the cell in the centre a mitotic figure?', mitotic: 'Mitotic figure', look_alike: 'Look-alike' },
  image: { text: 'Does this image show a mitotic figure?', mitotic: 'It does', look_alike: 'It does not' },
};

export class Viewer {
  /** Called with the position that is shown. */
  onShow = () => {};
  onGallery = () => {};
  /** Called when the last undecided sample of the sequence has been decided on, and saved. */
  onEnd = () => {};
  /** Called with every sample's item when its crop is shown; used by open mode. */
  onItem = () => {};
  /** Called with the error when a sample could not be loaded, and with null when one was. */
  onProblem = () => {};
  /** More facts in words about an item; set by open mode. */
  facts = () => [];
  /** Keys of further tools: `{key: function}`; set by open mode. */
  keys = {};

  #samples;
  #loader;
  #stage;
  #points;
  #decider;
  #clock;
  #sequence = [];
  #position = -1;
  #item = null;

  constructor({ samples, loader, stage, points, decider, clock }) {
    this.#samples = samples;
    this.#loader = loader;
    this.#stage = stage;
    this.#points = points;
    this.#decider = decider;
    this.#clock = clock;
    this.#connectButtons();
    stage.onZoom = (index) => this.#showZooms(index);
    points.addEventListener('change', () => this.#pointsChanged());
    samples.addEventListener('change', () => this.#showState());
    decider.addEventListener('saved', ({ detail }) => this.#saved(detail));
    decider.addEventListener('refreshed', () => loader.forgetItems());
  }

  /** The item that is shown, or null while it is loading. */
  get item() {
    return this.#item;
  }

  /** Show the sample at `position`; `sequence` (ascending) is what previous and next walk through. */
  async show(position, sequence = this.#sequence) {
    this.#sequence = sequence;
    this.#position = position;
    this.#item = null;
    this.#clock.stop();
    this.#points.show(null);
    this.#stage.clear('');
    this.#showHead();
    this.onShow(position);
    const loaded = await this.#loaded(position);
    if (loaded) this.#paint(loaded);
  }

  /** Leave: nothing is shown until the next `show`. */
  hide() {
    this.#clock.stop();
    this.#position = -1;
    this.#item = null;
    this.#points.show(null);
  }

  /** Handle a key; true when it was one of ours. */
  handleKey(event, letters) {
    if (this.#points.handleKey(event)) return true;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (event.shiftKey && key in PANS) this.#stage.pan(...PANS[key]);
    else if (key === 'ArrowLeft') this.#step(-1);
    else if (key === 'ArrowRight') this.#step(1);
    else if (event.repeat) return key in this.#actions || key in ANSWERS;
    else if (key === 'Escape') this.onGallery();
    else if (key === 'Backspace' || key === 'Delete') this.#points.removeLast();
    else if (key === ' ') this.#stage.nextZoom();
    else if (letters && key in ANSWERS) this.decide(ANSWERS[key]);
    else if (letters && key in this.#actions) this.#actions[key]();
    else return false;
    return true;
  }

  /** Decide on what is shown, and go on to the next undecided sample. */
  decide(label) {
    if (!this.#item || !this.#clock.running) {
      this.#decider.say('The crop is not shown yet: nothing was decided');
      return;
    }
    const { moved, added } = this.#points.draft;
    const decision = { label, moved_px: moved, added_px: added };
    const again = this.#samples.state(this.#position) !== 'open';
    this.#decider.decide(this.#item, decision, this.#clock.seconds);
    this.#points.forget(this.#item.id);
    this.#loader.setDecision(this.#item.id, decision);
    const open = nextOpen(this.#samples, this.#sequence, this.#position);
    const next = open < 0 && again ? neighbour(this.#sequence, this.#position) : open;
    if (next >= 0) this.show(next);
  }

  get #actions() {
    return {
      ...this.keys,
      0: () => this.#stage.recentre(),
      z: () => this.#undo(),
      g: () => this.onGallery(),
      p: () => this.#toggle('move'),
      a: () => this.#toggle('add'),
    };
  }

  #undo() {
    const undone = this.#decider.undo();
    if (!undone) return;
    this.#loader.setDecision(undone.item, undone.former);
    const position = this.#samples.position(undone.item);
    if (position >= 0 && position !== this.#position) this.show(position);
  }

  #step(step) {
    const position = neighbour(this.#sequence, this.#position, step);
    if (position >= 0) this.show(position);
    else this.#decider.say(step > 0 ? 'This is the last sample' : 'This is the first sample');
  }

  #toggle(mode) {
    if (this.#item) this.#points.setMode(this.#points.mode === mode ? null : mode);
  }

  async #loaded(position) {
    for (let failures = 0; ; failures += 1) {
      try {
        const loaded = await this.#loader.load(this.#samples.id(position));
        this.onProblem(null);
        return this.#position === position ? loaded : null;
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (this.#position !== position) return null;
        this.onProblem(error);
        const refused = error.problem === 'refused';
        this.#stage.clear(`This sample cannot be shown: ${error.message}.${refused ? '' : ' Trying again…'}`);
        if (refused) return null;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]));
        if (this.#position !== position) return null;
      }
    }
  }

  #paint({ item, image }) {
    this.#item = item;
    this.#stage.show(item, image);
    this.#points.show(item);
    this.onItem(item);
    this.#showZoomButtons();
    this.#showHead();
    // The second frame begins when the first, with the crop, has been painted.
    requestAnimationFrame(() => requestAnimationFrame(() => this.#item === item && this.#clock.start()));
    const ahead = neighbour(this.#sequence, this.#position);
    const around = [ahead, neighbour(this.#sequence, ahead < 0 ? Infinity : ahead), neighbour(this.#sequence, this.#position, -1)];
    this.#loader.prefetch(around.filter((position) => position >= 0).map((position) => this.#samples.id(position)));
  }

  #saved({ entry, answer, before }) {
    const position = this.#samples.position(answer.item);
    if (entry.action === 'undo' && !this.#samples.isPending(position)) this.#loader.setDecision(answer.item, answer.decision);
    if (this.#position < 0) return;
    const asked = entry.action === 'decide' || entry.item === answer.item;
    if (!asked) this.show(position); // only the server knew which decision was the last
    else if (position === this.#position) this.#points.update(this.#item);
    const left = this.#sequence.some((other) => this.#samples.isOpen(other) || this.#samples.isPending(other));
    if (entry.action === 'decide' && before === 'open' && !left) this.onEnd();
  }

  #showHead() {
    const id = this.#samples.id(this.#position);
    const place = this.#sequence.indexOf(this.#position) + 1;
    const count = number(this.#sequence.length);
    byId('viewer-title').textContent = `Sample ${id}`;
    const where = place ? [`${number(place)} of ${count}`] : [];
    byId('viewer-facts').textContent = [...where, ...(this.#item ? this.#itemFacts(this.#item) : [])].join(' · ');
    const question = QUESTIONS[this.#item?.kind ?? 'point'];
    byId('question').textContent = question.text;
    for (const button of document.querySelectorAll('.answer')) {
      const text = question[button.dataset.answer];
      if (text) button.querySelector('.answer-text').textContent = text;
    }
    this.#showState();
  }

  #itemFacts(item) {
    const scanner = item.scanner ? [item.scanner.replaceAll('_', ' ')] : [];
    const scale = item.mpp ? [] : ['scale unknown'];
    return [caseWords(item.case), ...scanner, ...scale, ...this.facts(item)];
  }

  #showState() {
    if (this.#position < 0) return;
    const state = this.#samples.state(this.#position);
    const pending = this.#samples.isPending(this.#position);
    const words = stateWords(state, this.#item?.kind);
    byId('viewer-state').textContent = pending
      ? 'Not saved yet'
      : state === 'open' ? 'Undecided' : `Decided: ${words}; deciding again replaces it`;
    for (const button of document.querySelectorAll('.answer')) {
      button.setAttribute('aria-pressed', String(!pending && button.dataset.answer === state));
    }
    byId('previous').disabled = neighbour(this.#sequence, this.#position, -1) < 0;
    byId('next').disabled = neighbour(this.#sequence, this.#position) < 0;
  }

  #showZooms(index) {
    for (const [other, button] of [...byId('zooms').children].entries()) {
      button.setAttribute('aria-pressed', String(other === index));
    }
  }

  #showZoomButtons() {
    const buttons = this.#stage.zooms.map(({ text }, index) => {
      const button = element('button', { type: 'button', text, 'aria-pressed': 'false' });
      button.addEventListener('click', () => this.#stage.setZoom(index));
      return button;
    });
    const texts = (nodes) => [...nodes].map((node) => node.textContent).join();
    if (texts(buttons) !== texts(byId('zooms').children)) byId('zooms').replaceChildren(...buttons);
    this.#stage.draw();
  }

  #pointsChanged() {
    this.#stage.draw();
    const { mode } = this.#points;
    byId('tool-move').setAttribute('aria-pressed', String(mode === 'move'));
    byId('tool-add').setAttribute('aria-pressed', String(mode === 'add'));
    byId('tool-move').disabled = this.#item?.kind === 'image';
    const { moved, added } = this.#points.draft;
    byId('tool-remove').disabled = !moved && !added.length;
    const what = [...(moved ? ['point moved'] : []), ...(added.length ? [`${plural(added.length, 'figure')} added`] : [])].join(', ');
    const next = this.#points.unsaved ? ' · saved with your decision' : '';
    const how = { move: 'Click where the cell is', add: 'Click every further mitotic figure' }[mode];
    const text = [...(how ? [`${how}, or arrows and Enter; Esc ends`] : []), ...(what ? [`${what}${next}`] : [])].join(' · ');
    if (byId('hint').textContent !== text) byId('hint').textContent = text;
  }

  #connectButtons() {
    for (const button of document.querySelectorAll('.answer')) {
      button.addEventListener('click', (event) => {
        if (event.detail > 1) return; // the second half of a double click would decide on the next sample
        if (event.detail) this.#stage.focus(); // or space would press the button instead of changing the context
        this.decide(button.dataset.answer);
      });
    }
    this.addTool('tool-move', 'p', 'Move point', () => this.#toggle('move'));
    this.addTool('tool-add', 'a', 'Add figure', () => this.#toggle('add'));
    this.addTool('tool-remove', 'Del', 'Remove', () => this.#points.removeLast());
    this.addTool('tool-centre', '0', 'Centre', () => this.#stage.recentre());
    byId('previous').addEventListener('click', () => this.#step(-1));
    byId('next').addEventListener('click', () => this.#step(1));
    byId('undo').addEventListener('click', () => this.#undo());
    byId('to-gallery').addEventListener('click', () => this.onGallery());
  }

  /** A button beside the zooms. */
  addTool(id, key, text, action) {
    const button = element('button', { type: 'button', class: 'tool', id }, element('kbd', { text: key }), ` ${text}`);
    button.addEventListener('click', (event) => {
      action();
      if (event.detail) this.#stage.focus();
    });
    byId('tools').append(button);
    return button;
  }
}
