/** Seconds since a crop was painted, without those in which the page was hidden. */
export class Clock {
  #shownMs = 0;
  #since = null;
  #running = false;

  constructor() {
    document.addEventListener('visibilitychange', () => this.#tick());
  }

  start() {
    this.#shownMs = 0;
    this.#since = null;
    this.#running = true;
    this.#tick();
  }

  stop() {
    this.#running = false;
    this.#since = null;
  }

  /** Whether there is a crop to decide on. */
  get running() {
    return this.#running;
  }

  get seconds() {
    this.#tick();
    return Math.round(this.#shownMs) / 1000;
  }

  #tick() {
    const now = performance.now();
    if (this.#since !== null) this.#shownMs += now - this.#since;
    this.#since = this.#running && !document.hidden ? now : null;
  }
}
