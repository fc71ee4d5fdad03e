// How far the rater is, as the server counts it.

import { byId } from './dom.js';
import { number, percent, seconds } from './words.js';

export class Progress {
  /** Further words, from the server's answer; set by open mode. */
  more = null;
  /** The last answer, or null. */
  last = null;

  /** @param progress the answer of /api/progress */
  show(progress) {
    this.last = progress;
    const { done, total, median_seconds: median, agreement } = progress;
    const bar = byId('progress-bar');
    bar.max = Math.max(total, 1);
    bar.value = done;
    const parts = [`${number(done)} of ${number(total)} decided`];
    if (median !== null) parts.push(`median ${seconds(median)}`);
    if (agreement) parts.push(agreementWords(agreement));
    if (this.more) parts.push(...this.more(progress));
    byId('progress-text').textContent = parts.join(' · ');
  }

  get finished() {
    return this.last !== null && this.last.total > 0 && this.last.done === this.last.total;
  }
}

function agreementWords({ items, share, kappa }) {
  const known = kappa === null ? '' : `, κ ${kappa.toFixed(2)}`;
  return `agreement ${percent(share)}${known} on ${number(items)}`;
}
