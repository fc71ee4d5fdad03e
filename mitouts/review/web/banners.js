// What stands between the rater and a saved decision.

import { byId, element } from './dom.js';
import { plural, stateWords } from './words.js';

const PATIENCE_MS = 1500;

export class Banners {
  onOpen = () => {};

  #outbox;
  #place = byId('banners');
  #waiting = element('div', { class: 'banner', role: 'alert', hidden: '' });
  #refused = element('div', { class: 'banner', role: 'alert', hidden: '' });
  #lost = null;
  #since = null;

  constructor(outbox) {
    this.#outbox = outbox;
    this.#place.append(this.#waiting, this.#refused);
    outbox.addEventListener('change', () => this.#draw());
    addEventListener('beforeunload', (event) => outbox.waiting.length && event.preventDefault());
    this.#draw();
  }

  /** The server no longer knows us (an `ApiError`), or does again (null). */
  setLost(error) {
    this.#lost = error;
    this.#draw();
  }

  #draw() {
    const { waiting, problem } = this.#outbox;
    if (!waiting.length) this.#since = null;
    else if (this.#since === null) {
      this.#since = Date.now();
      setTimeout(() => this.#draw(), PATIENCE_MS + 50);
    }
    const long = this.#since !== null && Date.now() - this.#since > PATIENCE_MS;
    const shown = problem ?? (long ? { problem: 'slow' } : this.#lost);
    fill(this.#waiting, shown ? waitingText(waiting.length, shown) : '', this.#buttons(shown));
    this.#drawRefused();
  }

  #buttons(shown) {
    if (shown?.problem !== 'away' || !this.#outbox.waiting.length) return [];
    const button = element('button', { type: 'button', class: 'tool', text: 'Try now' });
    button.addEventListener('click', () => this.#outbox.send());
    return [button];
  }

  #drawRefused() {
    const [entry, ...others] = this.#outbox.refused;
    if (!entry) return fill(this.#refused, '');
    const more = others.length ? ` (and ${others.length} more)` : '';
    const what = `Sample ${entry.item}, ${stateWords(entry.label, entry.kind)}`;
    const open = element('button', { type: 'button', class: 'tool', text: 'Look at it' });
    const dismiss = element('button', { type: 'button', class: 'tool', text: 'Dismiss' });
    open.addEventListener('click', () => this.onOpen(entry.item));
    dismiss.addEventListener('click', () => this.#outbox.dismiss(entry));
    return fill(this.#refused, `${what}, was refused and is not saved${more}: ${entry.message}`, [open, dismiss]);
  }
}

function waitingText(count, { problem, message }) {
  const kept = count ? `${plural(count, 'decision')} not saved yet` : '';
  const texts = {
    slow: `${kept}: waiting for the server.`,
    away: `${kept}: ${message}. Trying again; they are kept in this browser.`,
    restarted: `${kept ? `${kept}. ` : ''}The server was restarted: open the new address that it printed, in this browser. Nothing is lost.`,
    other: `${kept ? `${kept}. ` : ''}This page no longer works: ${message}. Open your own address again, in another browser or profile.`,
  };
  return count || problem !== 'away' ? texts[problem] : '';
}

function fill(banner, text, buttons = []) {
  const before = banner.firstChild?.textContent ?? '';
  if (before === text && banner.childElementCount === (text ? 1 : 0) + buttons.length) return;
  banner.hidden = !text;
  banner.replaceChildren(...(text ? [element('p', { text })] : []), ...buttons);
}
