// Which samples the gallery shows.

import { byId, element } from './dom.js';
import { number, plural, stateWords } from './words.js';

const STATES = ['open', 'mitotic', 'look_alike', 'unsure'];

export class Filters extends EventTarget {
  #samples;
  #tests = new Map();
  #form = byId('filters');
  #shown = byId('shown');

  /** Fires `change` when another choice was made. */
  constructor(samples) {
    super();
    this.#samples = samples;
    const columns = samples.columns;
    const states = [['decided', 'decided'], ...STATES.map((state) => [state, stateWords(state)])];
    this.add('State', 'all states', states, (position, value) => {
      const state = samples.state(position);
      return value === 'decided' ? state !== 'open' : state === value;
    });
    this.addColumn('Case', 'all cases', columns.cases, columns.case);
    this.addColumn('Scanner', 'all scanners', columns.scanners, columns.scanner);
    this.#form.addEventListener('submit', (event) => event.preventDefault());
  }

  /** A filter by the values that a column points into; none where all are the same. */
  addColumn(name, all, values, column) {
    if (values.length < 2) return;
    const order = [...values.keys()].sort((a, b) => values[a].localeCompare(values[b], 'en', { numeric: true }));
    const options = order.map((index) => [String(index), values[index].replaceAll('_', ' ') || 'unknown']);
    this.add(name, all, options, (position, value) => column[position] === Number(value));
  }

  /** A filter with `options` (pairs of value and text); `holds(position, value)` says which samples it shows. */
  add(name, all, options, holds) {
    const choices = [['', all], ...options].map(([value, text]) => element('option', { value, text }));
    const select = element('select', { name: name.toLowerCase(), autocomplete: 'off' }, ...choices);
    const field = element('label', { class: 'filter' }, element('span', { text: name, class: 'filter-name' }), select);
    this.#form.insertBefore(field, this.#shown);
    this.#tests.set(select, holds);
    select.addEventListener('change', () => this.dispatchEvent(new Event('change')));
  }

  /** Show the samples in a state only (`''`: all), whatever their case; used after everything shown is decided. */
  showState(state) {
    for (const select of this.#tests.keys()) select.value = select.name === 'state' ? state : '';
    this.dispatchEvent(new Event('change'));
  }

  /** Positions of the samples that are shown. */
  get positions() {
    const chosen = [...this.#tests].filter(([select]) => select.value);
    const tests = chosen.map(([select, holds]) => (position) => holds(position, select.value));
    return this.#samples.filter(tests);
  }

  say(count) {
    const total = this.#samples.length;
    const text = count === total ? plural(total, 'sample') : `${number(count)} of ${plural(total, 'sample')}`;
    if (this.#shown.textContent !== text) this.#shown.textContent = text;
  }
}
