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
