import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { WorkerPool } from '../../../src/adapters/ort/workerPool.ts';
import { FIXTURES } from '../../lm/fixture.ts';

interface Task {
  readonly kind: 'thread' | 'exit' | 'throw';
}
const file = new URL('./poolWorker.ts', import.meta.url);

test('a worker that dies fails its task by name and is replaced', async () => {
  const pool = new WorkerPool<Task, number>(file, 1, {});
  const first = await pool.run({ kind: 'thread' });
  await assert.rejects(pool.run({ kind: 'exit' }), { name: 'OutsideError', system: 'onnxruntime', message: /a model run failed/ });
  const second = await pool.run({ kind: 'thread' });
  assert.notEqual(second, first);
  await pool.close();
});

test('a task that throws fails alone', async () => {
  const pool = new WorkerPool<Task, number>(file, 1, {});
  const [failed, fine] = await Promise.allSettled([pool.run({ kind: 'throw' }), pool.run({ kind: 'thread' })]);
  assert.equal(failed.status, 'rejected');
  assert.match(String(failed.reason), /the task itself failed/);
  assert.equal(fine.status, 'fulfilled');
  await pool.close();
});

test('close waits for what runs, and refuses what comes after', async () => {
  const pool = new WorkerPool<Task, number>(file, 2, {});
  const running = pool.run({ kind: 'thread' });
  await pool.close();
  assert.ok((await running) > 0);
  await assert.rejects(pool.run({ kind: 'thread' }), { name: 'OutsideError', message: /closed/ });
});

test('a program that opens, runs and closes a model ends by itself, without an error', () => {
  const module = fileURLToPath(new URL('../../../src/adapters/ort/openSubjectModel.ts', import.meta.url));
  const program = `
    import { openSubjectModel } from ${JSON.stringify(module)};
    const model = await openSubjectModel(${JSON.stringify(`${FIXTURES}/gpt2-plain`)}, { device: 'cpu', workers: 2 });
    const batch = { rows: 1, cols: 2, ids: Int32Array.of(1, 2), lengths: Int32Array.of(2) };
    await Promise.all([1, 2, 3].map(() => model.forward({ batch, taps: [], logits: 'last' })));
    await model.close();
    console.log('closed');`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8', timeout: 60_000 });
  assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: 'closed\n', stderr: '' });
});
