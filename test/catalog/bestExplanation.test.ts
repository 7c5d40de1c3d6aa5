import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bestExplanation } from '../../src/catalog/bestExplanation.ts';
import type { ExplanationRow } from '../../src/ports/CatalogReader.ts';

function row(explainer: string, scores: Readonly<Record<string, number | null>>): ExplanationRow {
  return {
    dictionaryId: 1, index: 0, explainer, model: null, promptVersion: null, description: explainer, run: 'r',
    scores: Object.entries(scores).map(([name, value]) => {
      const [scorer, judge = 'j'] = name.split(' ');
      return { scorer: scorer!, judge, promptVersion: null, value, undefinedReason: value === null ? 'constant' : null, n: 1, low: null, high: null };
    }),
  }; // prettier-ignore
}
const best = (...rows: ExplanationRow[]): string | undefined => bestExplanation(rows)?.explainer;

test('the simulation of top and random fragments decides, of any judge', () => {
  assert.equal(best(row('a', { 'simulation-top-random j': 0.2, 'simulation-top-random k': 0.6 }), row('b', { 'simulation-top-random': 0.5 })), 'a');
  assert.equal(best(row('a', { 'simulation-top-random': -0.5 }), row('b', { 'simulation-top-random': null, 'simulation-random': 0.9 })), 'a');
});

test('an accuracy is never compared with a correlation', () => {
  assert.equal(best(row('a', { 'simulation-top-random': 0.1 }), row('b', { 'detection-balanced-accuracy': 0.99 })), 'a');
  assert.equal(best(row('b', { 'detection-balanced-accuracy': 0.99 }), row('a', { 'detection-balanced-accuracy': 0.5 })), 'a', 'by name, as nothing was simulated');
});

test('where none has that score, the random fragments decide, then the top ones; ties go by name', () => {
  assert.equal(best(row('a', { 'simulation-top': 0.9 }), row('b', { 'simulation-random': 0.1 })), 'b');
  assert.equal(best(row('a', { 'simulation-top': 0.1 }), row('b', { 'simulation-top': 0.2 })), 'b');
  assert.equal(best(row('b', { 'simulation-top-random': 0.5 }), row('a', { 'simulation-top-random': 0.5 })), 'a');
  assert.equal(best(), undefined);
});
