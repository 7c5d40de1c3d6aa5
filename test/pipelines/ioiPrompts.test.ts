import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { openTokenizer } from '../../src/adapters/tokenizers/openTokenizer.ts';
import { ACTIONS, OPENINGS } from '../../src/corpus/ioi.ts';
import { PEOPLE } from '../../src/corpus/names.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { ioiPrompts, singleTokenNames } from '../../src/pipelines/ioiPrompts.ts';

const DEMO = join(import.meta.dirname, '..', '..', 'models', 'demo');
const names = PEOPLE.map(({ name }) => name);

test('pairs are of one length, differ at one name, and hold three different people', async () => {
  const tokenizer = await openTokenizer(DEMO);
  const pairs = ioiPrompts(tokenizer, { names, count: 200, seed: 3, start: 0 });
  for (const { base, counterfactual, baseIds, counterfactualIds, io, other, subject, order, ioId, otherId, subjectId } of pairs) {
    assert.equal(new Set([io, other, subject]).size, 3);
    const count = (text: string, name: string): number => text.split(new RegExp(`\\b${name}\\b`)).length - 1;
    assert.deepEqual([count(base, io), count(base, other), count(base, subject)], [1, 0, 2], base);
    assert.deepEqual([count(counterfactual, io), count(counterfactual, other), count(counterfactual, subject)], [0, 1, 2], counterfactual);
    assert.equal(base.indexOf(io) < base.indexOf(subject), order === 'ABBA', base);
    assert.equal(base.replace(new RegExp(`\\b${io}\\b`), other), counterfactual, 'places and things are the same');
    assert.match(base, / (?:to|for)$/);
    assert.equal(baseIds.length, counterfactualIds.length);
    assert.deepEqual([...baseIds.keys()].filter((t) => baseIds[t] !== counterfactualIds[t]).map((t) => [baseIds[t], counterfactualIds[t]]), [[ioId, otherId]]);
    assert.deepEqual([baseIds[0], counterfactualIds[0]], [0, 0], 'the start of a document');
    assert.equal(tokenizer.token(subjectId).trim(), subject);
    assert.equal(baseIds.filter((id) => id === subjectId).length, 2);
  }
  assert.ok(new Set(pairs.map(({ opening }) => opening)).size >= 15 && new Set(pairs.map(({ action }) => action)).size >= 15);
  assert.ok(OPENINGS.length * ACTIONS.length >= 15);
  assert.equal(new Set(pairs.map(({ order }) => order)).size, 2);
  assert.equal(new Set(pairs.map(({ base }) => base)).size > 190, true);
});

test('the seed decides the prompts', async () => {
  const tokenizer = await openTokenizer(DEMO);
  const drawn = (seed: number): string[] => ioiPrompts(tokenizer, { names, count: 20, seed, start: null }).map(({ base }) => base);
  assert.deepEqual(drawn(1), drawn(1));
  assert.notDeepEqual(drawn(1), drawn(2));
});

test('names of several tokens are left out; too few are an error that says which there are', async () => {
  const tokenizer = await openTokenizer(DEMO);
  assert.equal(singleTokenNames(tokenizer, names).length, names.length, 'the demo model knows all of ours');
  const few = ['Mary', 'John', 'Quetzalcoatl', 'Xiomara', 'John'];
  assert.deepEqual(singleTokenNames(tokenizer, few), ['Mary', 'John']);
  assert.throws(
    () => ioiPrompts(tokenizer, { names: few, count: 1, seed: 0, start: null }),
    (error: unknown) => error instanceof CallerError && error.code === 'BAD_INPUT' && /of 4 names this tokenizer has 2 as one token \(Mary, John\); give others with --names/.test(error.message),
  );
});
