// What the page calls things.

const STATES = { open: 'undecided', mitotic: 'mitotic figure', look_alike: 'look-alike', unsure: 'unsure' };
const SHORT = { ...STATES, mitotic: 'mitotic' };
const IMAGE_STATES = { ...STATES, mitotic: 'has a mitotic figure', look_alike: 'has no mitotic figure' };

/** A state in words; `kind` is that of the sample, where it is known. */
export const stateWords = (state, kind = 'point') => (kind === 'image' ? IMAGE_STATES : STATES)[state];

/** A state in one word, for small places. */
export const stateWord = (state) => SHORT[state];

/** A case by its name, which may say that it is one. */
export const caseWords = (name) => (/^case(?![a-z])/i.test(name) ? name : `case ${name}`);

/** `3 decisions`, `1 decision`. */
export const plural = (count, noun) => `${number(count)} ${noun}${count === 1 ? '' : 's'}`;

/** A count with separated thousands. */
export const number = (count) => count.toLocaleString('en');

/** A share in whole per cent. */
export const percent = (share) => `${Math.round(100 * share)}%`;

/** Seconds with one decimal. */
export const seconds = (value) => `${value.toFixed(1)} s`;
