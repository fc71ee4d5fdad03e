// Puts the page together and leads from the gallery to a sample and back.

import { ApiError, getJson } from './api.js';
import { Banners } from './banners.js';
import { Clock } from './clock.js';
import { Decider } from './decider.js';
import { byId, element } from './dom.js';
import { Filters } from './filters.js';
import { Gallery } from './gallery.js';
import { Loader } from './loader.js';
import { Outbox, safeStorage } from './outbox.js';
import { PointEditor } from './points.js';
import { Progress } from './progress.js';
import { Samples, nextOpen } from './samples.js';
import { Shortcuts } from './shortcuts.js';
import { Stage } from './stage.js';
import { Start } from './start.js';
import { Viewer } from './viewer.js';
import { number, plural } from './words.js';

const RETRY_MS = 2000;

start();

async function start() {
  try {
    const session = await getJson('/api/session');
    const outbox = new Outbox(session, safeStorage());
    const banners = new Banners(outbox);
    await outbox.send(); // what an earlier page could not save comes before anything is shown
    const [columns, progress] = await Promise.all([getJson('/api/items'), getJson('/api/progress')]);
    await assemble({ session, outbox, banners, columns, progress });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.problem !== 'away') return notice('This page cannot be opened', `${error.message}. Open the address that the server printed when it was started.`);
    notice('The server does not answer', 'Trying again…');
    setTimeout(start, RETRY_MS);
  }
}

async function assemble({ session, outbox, banners, columns, progress: counted }) {
  const samples = new Samples(columns);
  const progress = new Progress();
  const decider = new Decider(outbox, samples, progress);
  const filters = new Filters(samples);
  const gallery = new Gallery(samples, filters, session.database);
  const stage = new Stage();
  const points = new PointEditor(stage);
  const parts = { samples, filters, gallery, stage, points, progress, decider };
  const viewer = new Viewer({ ...parts, loader: new Loader(session.database), clock: new Clock() });
  stage.drawings = (at, scale) => points.drawings(at, scale);
  const openMode = session.blinded ? null : await import('./open_mode.js');
  openMode?.open({ ...parts, viewer });

  const role = session.role === 'tiebreaker' ? ' · ties' : '';
  byId('session').textContent = `${session.rater}${role} · ${session.blinded ? 'blinded' : 'open'}`;
  progress.show(counted);
  const pages = new Pages({ ...parts, viewer });
  viewer.onProblem = (error) => banners.setLost(error?.problem === 'restarted' ? error : null);
  banners.onOpen = (id) => pages.open(samples.position(id));
  const entry = new Start(session, samples, openMode?.ABOUT);
  entry.onGo = () => pages.begin();
  new Shortcuts(viewer, entry.onGo);
  if (!samples.length) return notice('Nothing to decide', 'There is no sample for you yet. Reload the page later.');
  pages.route();
}

/** Which part of the page is shown; the address holds it, so that reloading and going back work. */
class Pages {
  #samples;
  #filters;
  #gallery;
  #viewer;
  #progress;
  #closing = byId('closing');
  #shown = -1;

  constructor({ samples, filters, gallery, viewer, progress }) {
    this.#samples = samples;
    this.#filters = filters;
    this.#gallery = gallery;
    this.#viewer = viewer;
    this.#progress = progress;
    gallery.onOpen = (position) => this.open(position);
    viewer.onGallery = () => this.toGallery();
    viewer.onEnd = () => this.#end();
    viewer.onShow = (position) => this.#showing(position);
    this.#closing.addEventListener('close', () => this.#closed());
    addEventListener('popstate', () => this.route());
  }

  /** Show what the address says. */
  route() {
    const position = this.#samples.position(Number(location.hash.slice(1)));
    if (position >= 0) this.#enter(position);
    else this.#leave();
  }

  open(position) {
    if (position < 0) return;
    if (this.#shown < 0) history.pushState(null, '', `#${this.#samples.id(position)}`);
    this.#enter(position);
  }

  /** Go to the next undecided sample that is shown, else to any, and where all are decided to the first. */
  begin() {
    const next = nextOpen(this.#samples, this.#gallery.positions, -1);
    if (next < 0) this.#filters.showState(nextOpen(this.#samples, this.#samples.filter([]), -1) < 0 ? '' : 'open');
    const [first = -1] = this.#gallery.positions;
    this.open(next < 0 ? first : next);
  }

  toGallery() {
    history.replaceState(null, '', location.pathname);
    this.#leave();
  }

  #enter(position) {
    reveal('viewer');
    if (!this.#gallery.positions.length) this.#gallery.refilter();
    this.#viewer.show(position, this.#gallery.positions);
    byId('stage').focus({ preventScroll: true });
  }

  #leave() {
    const last = this.#shown;
    this.#shown = -1;
    this.#viewer.hide();
    reveal('gallery');
    this.#gallery.refilter();
    document.title = 'Review · mitouts';
    this.#gallery.focus(last < 0 ? nextOpen(this.#samples, this.#gallery.positions, -1) : last);
  }

  #showing(position) {
    this.#shown = position;
    const id = this.#samples.id(position);
    history.replaceState(null, '', `#${id}`);
    document.title = `Sample ${id} · Review · mitouts`;
  }

  #end() {
    if (this.#closing.open || document.querySelector('dialog[open]')) return;
    const { done, total, unsure } = this.#progress.last;
    const finished = this.#progress.finished;
    byId('closing-title').textContent = finished ? `All ${plural(total, 'sample')} decided` : 'Everything shown is decided';
    byId('closing-text').textContent = finished
      ? 'Every decision is saved; you can close this page.'
      : `${number(total - done)} of ${plural(total, 'sample')} are still undecided, or not saved yet.`;
    byId('closing-rest').hidden = finished;
    byId('closing-unsure').hidden = !unsure;
    this.#closing.returnValue = '';
    this.#closing.showModal();
  }

  #closed() {
    const choice = this.#closing.returnValue;
    if (!choice) return;
    if (choice !== 'gallery') this.#filters.showState(choice === 'rest' ? 'open' : 'unsure');
    const [first = -1] = this.#gallery.positions;
    if (choice === 'gallery' || first < 0) this.toGallery();
    else this.#enter(first);
  }
}

function reveal(id) {
  for (const section of document.querySelectorAll('main > section')) section.hidden = section.id !== id;
}

function notice(title, text) {
  byId('notice').replaceChildren(element('h2', { text: title }), element('p', { text }));
  byId('progress-text').textContent = '';
  reveal('notice');
}
