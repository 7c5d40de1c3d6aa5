import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffMs, retryAfterMs } from '../../../src/adapters/openai/retryAfter.ts';

const NOW = Date.parse('2026-03-01T12:00:00Z');

test('Retry-After is understood as seconds, as a date and in milliseconds', () => {
  const cases: readonly [Record<string, string>, number | null][] = [
    [{ 'retry-after': '90' }, 90_000],
    [{ 'retry-after': 'Sun, 01 Mar 2026 12:01:30 GMT' }, 90_000],
    [{ 'retry-after': 'Sun, 01 Mar 2026 11:00:00 GMT' }, 0],
    [{ 'retry-after-ms': '250', 'retry-after': '1' }, 250],
    [{ 'retry-after-ms': '0' }, 0],
    [{ 'retry-after-ms': 'soon', 'retry-after': '2' }, 2000],
    [{ 'retry-after': 'soon' }, null],
    [{ 'retry-after': '-5x' }, null],
    [{}, null],
  ];
  for (const [headers, expected] of cases) assert.equal(retryAfterMs(new Headers(headers), NOW), expected, JSON.stringify(headers));
});

test('repetitions wait longer each time, never longer than half a minute', () => {
  for (let n = 0; n < 40; n++) {
    const wait = backoffMs(n, 500);
    const most = Math.min(500 * 2 ** n, 30_000);
    assert.ok(wait >= most / 2 && wait <= most, `${n}: ${wait}`);
  }
});
