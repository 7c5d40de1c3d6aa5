import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gate } from '../../src/catalog/gate.ts';

test('runs at most two at once, in order, refuses beyond the queue, and frees places after failures', async () => {
  const gate = new Gate(2, 3);
  const now = { active: 0, most: 0 };
  const order: number[] = [];
  const releases: (() => void)[] = [];
  const task = (i: number) =>
    gate.run(async () => {
      order.push(i);
      now.active++;
      now.most = Math.max(now.most, now.active);
      await new Promise<void>((resolve) => releases.push(resolve));
      now.active--;
      if (i === 1) throw new Error('task 1');
      return i;
    });
  const results = [0, 1, 2, 3, 4].map((i) => task(i));
  const settled = Promise.allSettled(results);
  await assert.rejects(task(5), { code: 'BUSY' });
  while (order.length < 5 || now.active > 0) {
    releases.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const outcome = await settled;
  assert.deepEqual(outcome.map(({ status }) => status), ['fulfilled', 'rejected', 'fulfilled', 'fulfilled', 'fulfilled']);
  assert.deepEqual(order, [0, 1, 2, 3, 4]);
  assert.equal(now.most, 2);
  assert.equal(await gate.run(async () => 'free again'), 'free again');
});

test('who is refused is told when to come back, later the more were refused; who goes away leaves the queue', async () => {
  const gate = new Gate(1, 1);
  const { promise, resolve } = Promise.withResolvers<void>();
  const running = gate.run(() => promise);
  const gone = new AbortController();
  const waiting = gate.run(async () => assert.fail('it was given up'), { signal: gone.signal });
  const told: number[] = [];
  for (let i = 0; i < 3; i++) await gate.run(async () => undefined).catch((error: { retryAfterSeconds: number }) => told.push(error.retryAfterSeconds));
  assert.deepEqual(told.length, 3);
  assert.ok(told[0] > 0 && told[1] > told[0] && told[2] > told[1]);
  gone.abort(new Error('gone'));
  await assert.rejects(waiting, /gone/);
  // Its place is free, and who goes on from an earlier turn is never refused.
  const later = [gate.run(async () => 1), gate.run(async () => 2, { resumes: true })];
  resolve();
  await running;
  assert.deepEqual(await Promise.all(later), [1, 2]);
});
