// What only a rater who is not blinded sees; a blinded page never asks for this file.

import { byId, element, svg } from './dom.js';
import { percent } from './words.js';

/** What the beginning of the gallery says. */
export const ABOUT =
  'The samples on which annotators and model disagree most come first; Labels (d) draws what was annotated and predicted.';
const BOX_UM = 6;
const BOX_PX = 14;

/** Add the reasons, the numbers, and the marks of annotation and prediction to the page. */
export function open({ samples, filters, gallery, viewer, stage, points, progress }) {
  const { columns } = samples;
  let drawn = false;

  filters.addColumn('Reason', 'all reasons', columns.reasons, columns.reason);
  gallery.note = (position) => columns.reasons[columns.reason[position]].replaceAll('_', ' ');
  viewer.facts = facts;
  progress.more = ({ agreement_with_annotation: agreed }) =>
    agreed ? [`${percent(agreed.share)} as annotated`] : [];

  const button = viewer.addTool('tool-draw', 'd', 'Labels', toggle);
  button.setAttribute('aria-pressed', 'false');
  viewer.keys = { ...viewer.keys, d: toggle };
  viewer.onItem = () => set(false); // every sample is first looked at without
  const key = element('th', { scope: 'row' }, element('kbd', { text: 'd' }));
  byId('help-view').tBodies[0].append(element('tr', {}, key, element('td', { text: 'annotated (square) and predicted (dashed circle) points' })));

  stage.drawings = (at, scale) => [...(drawn ? marks(at, scale) : []), ...points.drawings(at, scale)];

  function toggle() {
    set(!drawn);
  }

  function set(value) {
    drawn = value;
    button.setAttribute('aria-pressed', String(drawn));
    stage.draw();
  }

  function marks(at, scale) {
    const { item } = viewer;
    if (!item) return [];
    const half = Math.max(BOX_PX, item.mpp ? (BOX_UM / item.mpp) * scale : 0);
    return [
      ...item.annotated_px.flatMap((offset) => square(at(offset), half)),
      ...item.predicted_px.flatMap(([dx, dy, score]) => circle(at([dx, dy]), half, score)),
    ];
  }
}

function facts({ reason, distance_px: distance, score, old_label: label }) {
  const words = { mitotic: 'annotated as mitotic figure', look_alike: 'annotated as look-alike' };
  return [
    reason.replaceAll('_', ' '),
    words[label] ?? 'not annotated',
    ...(typeof score === 'number' ? [`score ${score.toFixed(2)}`] : []),
    ...(typeof distance === 'number' ? [`distance ${distance.toFixed(0)} px`] : []),
  ];
}

function square([x, y], half) {
  const place = { x: x - half, y: y - half, width: 2 * half, height: 2 * half };
  return ['halo', 'line'].map((name) => svg('rect', { class: `mark-${name} annotated`, ...place }));
}

function circle([cx, cy], r, score) {
  const rings = ['halo', 'line'].map((name) => svg('circle', { class: `mark-${name} predicted`, cx, cy, r }));
  if (score === null) return rings;
  return [...rings, svg('text', { class: 'mark-text', x: cx, y: cy + r + 14, text: score.toFixed(2) })];
}
