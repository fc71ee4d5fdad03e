// The beginning of the gallery: what this is about, how far the rater is, and a button to begin or to go on.

import { byId } from './dom.js';
import { number, plural } from './words.js';

const ASKED = 'Each sample asks one thing: is the cell in the centre a mitotic figure? Answer by a button or a key (? shows all keys).';
const ON_YOUR_OWN = 'You are not told what anybody else, or a model, made of it, so that your answer is your own.';
const TIES = 'On these samples the raters disagree.';
const SAVED = 'Every answer is saved at once and can be changed; stop and go on whenever you like.';

export class Start {
  /** Called when the rater wants to begin, or to go on. */
  onGo = () => {};

  #samples;
  #about;

  /** `about` is what a rater who is not blinded is told instead. */
  constructor(session, samples, about = ON_YOUR_OWN) {
    this.#samples = samples;
    this.#about = [ASKED, ...(session.role === 'tiebreaker' ? [TIES] : []), about];
    byId('start-go').addEventListener('click', () => this.onGo());
    samples.addEventListener('change', () => this.#show());
    this.#show();
  }

  #show() {
    const total = this.#samples.length;
    const left = this.#samples.filter([(position) => this.#samples.isOpen(position)]).length;
    const begun = left < total;
    byId('start-title').textContent = !begun
      ? `${plural(total, 'sample')} to decide on`
      : left ? `${number(total - left)} of ${plural(total, 'sample')} decided, ${number(left)} to go` : `All ${plural(total, 'sample')} decided`;
    byId('start-text').textContent = [...(begun ? [] : this.#about), SAVED].join(' ');
    byId('start-go-text').textContent = !begun ? 'Begin' : left ? 'Go on' : 'Look through them again';
  }
}
