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

test('what is slower than one a second is told by the minute', () => {
  const lines: string[] = [];
  let clock = 0;
  const task = terminalProgress({ write: (text: string) => lines.push(text) }, () => clock).start('explain', 6, 'features');
  clock = 40_000;
  task.update(1);
  clock = 210_000;
  task.finish();
  assert.deepEqual(lines.slice(1), ['explain: 1/6 features, 1.5 features/min, 3 min 20 s left\n', 'explain: done in 210.0 s, 1.7 features/min\n']);
});

test('compact numbers', () => {
  assert.deepEqual([0, 999, 9_999, 12_345, 1_234_567, 2.5e9].map(compact), ['0', '999', '9999', '12.3k', '1.23M', '2.50G']);
});
