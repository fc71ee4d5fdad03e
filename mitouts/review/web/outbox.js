// Decisions wait here until the server has them on disk. Every entry has a key of its own in the browser's storage, so
// that two tabs never overwrite each other's, and keeps its request id, so that the server takes it once however often
// it is sent.

import { ApiError, getJson, postJson } from './api.js';

const PAUSES_MS = [500, 1000, 2000, 4000, 8000, 15000];

export class Outbox extends EventTarget {
  #waiting;
  #refused;
  #storage;
  #session;
  #sending = null;
  #timer = null;
  #failures = 0;
  #count = 0;

  /** What keeps the first entry from being saved: an `ApiError`, or null. */
  problem = null;

  /** Fires `saved` (detail: entry, answer), `refused` (entry, message), `elsewhere` (another tab sent one) and `change`. */
  constructor(session, storage) {
    super();
    this.#session = session;
    this.#storage = storage;
    const whose = `${session.database}:${session.rater}`;
    this.#waiting = `mitouts-review:waiting:${whose}:`;
    this.#refused = `mitouts-review:refused:${whose}:`;
    addEventListener('storage', (event) => this.#changedElsewhere(event));
    addEventListener('online', () => this.send());
  }

  /** Entries in the order in which they were made. */
  get waiting() {
    return this.#entries(this.#waiting);
  }

  /** Entries that the server will never take, with its `message`. */
  get refused() {
    return this.#entries(this.#refused);
  }

  /** Keep an entry and send it; gives its request id. `action` is `decide` or `undo`. */
  add(action, content) {
    const order = `${String(Date.now()).padStart(15, '0')}.${String((this.#count += 1)).padStart(6, '0')}`;
    const entry = { request: requestId(), action, ...content };
    this.#storage.setItem(`${this.#waiting}${order}.${entry.request}`, JSON.stringify(entry));
    this.#changed();
    this.send();
    return entry.request;
  }

  /** Forget waiting entries for which `condition` holds. */
  drop(condition) {
    for (const entry of this.waiting.filter(condition)) this.#storage.removeItem(entry.key);
    this.#changed();
  }

  /** Forget a refused entry. */
  dismiss(entry) {
    this.#storage.removeItem(entry.key);
    this.#changed();
  }

  /** Send what waits, in order; resolves when all is saved or something has to be waited for. */
  send() {
    clearTimeout(this.#timer);
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = null;
      this.#changed();
    });
    return this.#sending;
  }

  async #sendAll() {
    for (let [entry] = this.waiting; entry; [entry] = this.waiting) {
      const going = await alone(this.#waiting, () => this.#sendOne(entry));
      if (!going) return;
    }
  }

  async #sendOne(entry) {
    if (this.#storage.getItem(entry.key) === null) return true; // another tab was faster
    try {
      await this.#checkSession();
      const answer = await post(entry);
      this.#storage.removeItem(entry.key);
      this.#recovered();
      this.#changed();
      this.dispatchEvent(new CustomEvent('saved', { detail: { entry, answer } }));
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.problem === 'refused') {
        this.#setAside(entry, error.message);
        return true;
      }
      this.problem = error;
      this.#timer = setTimeout(() => this.send(), PAUSES_MS[Math.min(this.#failures, PAUSES_MS.length - 1)]);
      this.#failures += 1;
      return false;
    }
  }

  // The cookie is the browser's, not the page's: it may by now be another rater's, or another database's.
  async #checkSession() {
    const { database, rater } = await getJson('/api/session');
    if (database !== this.#session.database || rater !== this.#session.rater) {
      throw new ApiError('other', `this browser now reviews as ${rater}`);
    }
  }

  #setAside(entry, message) {
    this.#recovered();
    this.#storage.removeItem(entry.key);
    if (entry.action === 'decide') {
      const { key, ...content } = entry;
      this.#storage.setItem(key.replace(this.#waiting, this.#refused), JSON.stringify({ ...content, message }));
      this.drop((other) => other.action === 'undo' && other.of === entry.request);
    }
    this.dispatchEvent(new CustomEvent('refused', { detail: { entry, message } }));
  }

  #recovered() {
    this.problem = null;
    this.#failures = 0;
  }

  #changedElsewhere(event) {
    if (!event.key?.startsWith(this.#waiting) && !event.key?.startsWith(this.#refused)) return;
    const sent = event.newValue === null && event.key.startsWith(this.#waiting);
    if (sent) this.#recovered();
    this.#changed();
    if (sent) this.dispatchEvent(new Event('elsewhere'));
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }

  #entries(prefix) {
    const keys = Array.from({ length: this.#storage.length }, (_, index) => this.#storage.key(index));
    const ours = keys.filter((key) => key.startsWith(prefix)).sort();
    return ours.map((key) => ({ key, ...JSON.parse(this.#storage.getItem(key)) }));
  }
}

/** The browser's storage, or one that lasts as long as the page where the browser forbids it. */
export function safeStorage() {
  try {
    localStorage.setItem('mitouts-review:probe', '');
    localStorage.removeItem('mitouts-review:probe');
    return localStorage;
  } catch {
    return new PageStorage();
  }
}

class PageStorage {
  #items = new Map();

  get length() {
    return this.#items.size;
  }

  key(index) {
    return [...this.#items.keys()][index];
  }

  getItem(key) {
    return this.#items.get(key) ?? null;
  }

  setItem(key, value) {
    this.#items.set(key, value);
  }

  removeItem(key) {
    this.#items.delete(key);
  }
}

function post(entry) {
  if (entry.action === 'undo') return postJson('/api/undo', { request: entry.request });
  const { request, item, label, moved_px, added_px, seconds } = entry;
  return postJson('/api/decisions', { request, item, label, moved_px, added_px, seconds });
}

// Locks and randomUUID exist in secure contexts only, which http on another host is not.
function alone(name, work) {
  return navigator.locks ? navigator.locks.request(name, work) : work();
}

/** A random UUID (RFC 9562, version 4). */
export function requestId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
