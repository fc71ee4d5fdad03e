// The columns of /api/items. A position is an index into them, in the order of presentation.

export class Samples extends EventTarget {
  #positions;
  #pending = new Map();

  constructor(columns) {
    super();
    this.columns = columns;
    this.#positions = new Map(columns.id.map((id, position) => [id, position]));
  }

  get length() {
    return this.columns.id.length;
  }

  id(position) {
    return this.columns.id[position];
  }

  /** The position of an id, or -1. */
  position(id) {
    return this.#positions.get(id) ?? -1;
  }

  /** The state that the server has saved. */
  state(position) {
    return this.columns.state[position];
  }

  /** Whether something that the server has not saved yet is about this sample. */
  isPending(position) {
    return this.#pending.has(this.id(position));
  }

  /** Whether a decision is still to be made, as far as this page knows. */
  isOpen(position) {
    const pending = this.#pending.get(this.id(position));
    return pending ? pending === 'undo' : this.state(position) === 'open';
  }

  caseOf(position) {
    return this.columns.cases[this.columns.case[position]];
  }

  setState(id, state) {
    const position = this.position(id);
    if (position < 0) return;
    this.columns.state[position] = state;
    this.#changed();
  }

  /** Replace all states by those of another answer of /api/items. */
  takeStates(columns) {
    for (const [index, id] of columns.id.entries()) {
      const position = this.position(id);
      if (position >= 0) this.columns.state[position] = columns.state[index];
    }
    this.#changed();
  }

  /** @param waiting entries of the outbox */
  setPending(waiting) {
    const pending = new Map(waiting.map((entry) => [entry.item, entry.action]));
    if (!pending.size && !this.#pending.size) return;
    this.#pending = pending;
    this.#changed();
  }

  /** Positions at which every test holds. */
  filter(tests) {
    return Array.from(this.columns.id.keys()).filter((position) => tests.every((test) => test(position)));
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }
}

/** The first of the ascending `sequence` after `position` (or before it, with `step` -1), or -1. */
export function neighbour(sequence, position, step = 1) {
  const found = step > 0 ? sequence.find((other) => other > position) : sequence.findLast((other) => other < position);
  return found ?? -1;
}

/** The next undecided one of the sequence after `position`, from the beginning again at its end, or -1. */
export function nextOpen(samples, sequence, position) {
  const open = sequence.filter((other) => other !== position && samples.isOpen(other));
  return open.find((other) => other > position) ?? open[0] ?? -1;
}
