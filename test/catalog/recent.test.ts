import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Recent } from '../../src/catalog/recent.ts';

/** Results named by key, and the keys made so far. */
function recentOf(most: number): { get: (key: string) => Promise<string>; made: string[] } {
  const recent = new Recent<string>(most);
  const made: string[] = [];
  return { made, get: (key) => recent.get(key, async () => (made.push(key), `result ${key}`)) };
}

test('is made once for all who ask together or later; the least recently asked-for goes first', async () => {
  const { get, made } = recentOf(2);
  assert.deepEqual(await Promise.all([get('a'), get('a'), get('b')]), ['result a', 'result a', 'result b']);
  await get('a');
  await get('c');
  assert.equal(await get('a'), 'result a');
  assert.deepEqual(made, ['a', 'b', 'c']);
  await get('b');
  assert.deepEqual(made, ['a', 'b', 'c', 'b']);
});

test('failures reach all who wait for them, are tried again, and push nothing out', async () => {
  const recent = new Recent<string>(2);
  let tries = 0;
  const fail = (key: string) => recent.get(key, async () => Promise.reject(new Error(`try ${++tries}`)));
  const kept = await recent.get('kept', async () => 'first');
  const failed = await Promise.allSettled([fail('a'), fail('a'), ...Array.from({ length: 20 }, (_, i) => fail(`other ${i}`))]);
  assert.ok(failed.every(({ status }) => status === 'rejected'));
  assert.equal(tries, 21);
  await assert.rejects(fail('a'), /try 22/);
  assert.equal(await recent.get('a', async () => 'now'), 'now');
  assert.equal(await recent.get('kept', async () => 'made anew'), kept);
});

test('what is being made is shared, however much else is made meanwhile', async () => {
  const recent = new Recent<number>(1);
  const gate = Promise.withResolvers<number>();
  const first = recent.get('slow', () => gate.promise);
  for (let i = 0; i < 5; i++) await recent.get(`quick ${i}`, async () => i);
  const second = recent.get('slow', async () => -1);
  gate.resolve(7);
  assert.deepEqual(await Promise.all([first, second]), [7, 7]);
});
