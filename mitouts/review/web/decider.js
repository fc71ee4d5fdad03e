// Decisions and taking them back: what is sent, what came of it, and what the page says about it.

import { getJson } from './api.js';
import { byId } from './dom.js';
import { stateWords } from './words.js';

const UNDO = matchMedia('(pointer: coarse)').matches ? 'Undo' : 'z';

export class Decider extends EventTarget {
  #outbox;
  #samples;
  #progress;
  #confirmation = byId('confirmation');
  #made = [];

  /** Fires `saved` (detail: entry, the server's answer, the state before) and `refreshed` (states were fetched again). */
  constructor(outbox, samples, progress) {
    super();
    this.#outbox = outbox;
    this.#samples = samples;
    this.#progress = progress;
    for (const entry of outbox.waiting) this.#remember(entry);
    samples.setPending(outbox.waiting);
    outbox.addEventListener('change', () => samples.setPending(outbox.waiting));
    outbox.addEventListener('saved', ({ detail }) => this.#saved(detail));
    outbox.addEventListener('refused', ({ detail }) => this.#refused(detail));
    outbox.addEventListener('elsewhere', () => this.#refreshSoon());
  }

  /** Decide on a sample: `decision` is its label with the points, `seconds` how long it was looked at. */
  decide(item, decision, seconds) {
    const { id, kind } = item;
    this.say(`Sample ${id}: ${stateWords(decision.label, kind)}, saving…`, true);
    const request = this.#outbox.add('decide', { item: id, kind, ...decision, seconds });
    this.#made.push({ request, item: id, former: item.decision });
  }

  /** Take the last decision back; gives `{item, former}`, the decision before it, or null where only the server knows. */
  undo() {
    const last = this.#made.pop() ?? null;
    this.say(last ? `Sample ${last.item}: taking the decision back…` : 'Taking the last decision back…', true);
    this.#outbox.add('undo', { item: last?.item ?? null, of: last?.request ?? null });
    return last;
  }

  /** Say something where the last decision is confirmed; `busy` when more is to come. */
  say(text, busy = false) {
    this.#confirmation.classList.toggle('busy', busy);
    this.#confirmation.setAttribute('aria-live', busy ? 'off' : 'polite');
    this.#confirmation.textContent = text;
  }

  #remember(entry) {
    if (entry.action === 'decide') this.#made.push({ request: entry.request, item: entry.item, former: null });
    else this.#made.pop();
  }

  #saved({ entry, answer }) {
    const before = this.#samples.state(this.#samples.position(answer.item));
    this.#samples.setState(answer.item, answer.state);
    this.#progress.show(answer.progress);
    const undone = answer.state === 'open' ? 'undecided again' : `${stateWords(answer.state)} again`;
    if (entry.action === 'undo') this.say(`Sample ${answer.item}: taken back, ${undone}`);
    else this.say(`Sample ${answer.item}: ${stateWords(entry.label, entry.kind)} saved · ${UNDO} takes it back`);
    this.dispatchEvent(new CustomEvent('saved', { detail: { entry, answer, before } }));
  }

  #refused({ entry, message }) {
    this.#made = this.#made.filter(({ request }) => request !== entry.request);
    if (entry.action === 'undo') this.say(`Nothing was taken back: ${message}`);
    else this.say(`Sample ${entry.item}: not saved`);
    this.#refreshSoon();
  }

  #refreshSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#refresh(), 300);
  }

  async #refresh() {
    try {
      const [columns, progress] = await Promise.all([getJson('/api/items'), getJson('/api/progress')]);
      this.#samples.takeStates(columns);
      this.#progress.show(progress);
      this.dispatchEvent(new Event('refreshed'));
    } catch {
      // the outbox says that the server is away; what is on the page stays as it was last saved
    }
  }
}
