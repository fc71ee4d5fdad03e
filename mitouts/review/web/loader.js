// Samples and their crops, fetched ahead and kept for a while.

import { ApiError, fieldAddress, getJson } from './api.js';

const KEPT = 12;

export class Loader {
  #database;
  #items = new Map();
  #images = new Map();

  constructor(database) {
    this.#database = database;
  }

  /** `{item, image}` of a sample: what /api/items/ID says, and the decoded crop. */
  async load(id) {
    const item = keep(this.#items, id, () => getJson(`/api/items/${id}`));
    const image = keep(this.#images, id, () => crop(fieldAddress(this.#database, id)));
    return { item: await item, image: await image };
  }

  /** Fetch ahead; whether it works shows when the sample is needed. */
  prefetch(ids) {
    for (const id of ids) this.load(id).catch(() => {});
  }

  /** Note what is now decided on a sample, if it is kept. */
  setDecision(id, decision) {
    this.#items.get(id)?.then((item) => Object.assign(item, { decision }), () => {});
  }

  /** Ask the server again what it says of samples when they are next needed. */
  forgetItems() {
    this.#items.clear();
  }
}

// The last `KEPT` are kept; what failed is not.
function keep(kept, id, fetchIt) {
  const loading = kept.get(id) ?? fetchIt();
  kept.delete(id);
  kept.set(id, loading);
  loading.catch(() => kept.get(id) === loading && kept.delete(id));
  for (const oldest of [...kept.keys()].slice(0, -KEPT)) kept.delete(oldest);
  return loading;
}

async function crop(address) {
  const image = new Image();
  image.alt = '';
  image.draggable = false;
  image.src = address;
  try {
    await image.decode();
  } catch {
    throw new ApiError('away', 'its crop was not delivered');
  }
  return image;
}
