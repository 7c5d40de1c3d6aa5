import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compact, terminalProgress } from '../../../src/adapters/terminal/progress.ts';

test('without a terminal, progress is plain lines: start, every ten seconds, end', () => {
  const lines: string[] = [];
  let clock = 0;
  const progress = terminalProgress({ write: (text: string) => lines.push(text) }, () => clock);
  const task = progress.start('train', 40_000, 'vectors');
  clock = 5_000;
  task.update(10_000, 'fvu 0.5');
  clock = 10_000;
  task.update(20_000, 'fvu 0.4');
  clock = 20_000;
  task.finish();
  assert.deepEqual(lines, [
    'train: 40.0k vectors\n',
    'train: 20.0k/40.0k vectors, 2000 vectors/s, 10 s left, fvu 0.4\n',
    'train: done in 20.0 s, 2000 vectors/s, fvu 0.4\n',
  ]);
  assert.ok(lines.every((line) => !line.includes('\u001b')), 'no control characters');
});

test('compact numbers', () => {
  assert.deepEqual([0, 999, 9_999, 12_345, 1_234_567, 2.5e9].map(compact), ['0', '999', '9999', '12.3k', '1.23M', '2.50G']);
});
