// Which keys reach the single view, and the help.

import { byId } from './dom.js';

const LETTERS = 'mitouts-review:letters';
const FIELDS = 'input, select, textarea, [contenteditable]';
const PRESSED_BY_KEYS = 'button, a[href], summary';

export class Shortcuts {
  #viewer;
  #begin;
  #help = byId('help');
  #letters = byId('letters');

  /** `begin` is called for the key that begins, or goes on, from the gallery. */
  constructor(viewer, begin) {
    this.#viewer = viewer;
    this.#begin = begin;
    byId('help-open').addEventListener('click', () => this.#help.showModal());
    this.#letters.checked = localStorageItem(LETTERS) !== 'off';
    this.#letters.addEventListener('change', () => localStorageItem(LETTERS, this.#letters.checked ? 'on' : 'off'));
    document.addEventListener('keydown', (event) => this.#pressed(event));
  }

  #pressed(event) {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.target.closest(FIELDS)) return;
    if (event.target.closest(PRESSED_BY_KEYS) && (event.key === 'Enter' || event.key === ' ')) {
      if (event.repeat) event.preventDefault(); // a held key presses a button once
      return;
    }
    if (event.key === '?') this.#letters.checked && this.#toggleHelp();
    else if (document.querySelector('dialog[open]')) return;
    else if (!byId('gallery').hidden && event.key.toLowerCase() === 'b') this.#letters.checked && !event.repeat && this.#begin();
    else if (byId('viewer').hidden) return;
    else if (!this.#viewer.handleKey(event, this.#letters.checked)) return;
    event.preventDefault();
  }

  #toggleHelp() {
    if (this.#help.open) this.#help.close();
    else if (!document.querySelector('dialog[open]')) this.#help.showModal();
  }
}

function localStorageItem(key, value) {
  try {
    if (value !== undefined) localStorage.setItem(key, value);
    return localStorage.getItem(key);
  } catch {
    return null; // storage is forbidden in this browser
  }
}
