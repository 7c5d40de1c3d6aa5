import assert from 'node:assert/strict';
import { test } from 'node:test';
import { APIConnectionError, APIError } from 'openai';
import { ParameterRefused, TimedOut, UselessBody, Withheld, judgeFailure, type Asked } from '../../../src/adapters/openai/failures.ts';
import { CallerError } from '../../../src/domain/errors.ts';

const ASKED: Asked = { server: 'http://host/v1', model: 'rules', path: '/chat/completions', apiKey: 'sk-secret', parameters: ['max_completion_tokens', 'max_tokens', 'seed'] };

function status(code: number, error: Record<string, unknown>, headers: Record<string, string> = {}): ReturnType<typeof judgeFailure> {
  return judgeFailure(APIError.generate(code, { error }, undefined, new Headers(headers)), ASKED);
}

test('failures that may pass are told from those that are the caller’s matter', () => {
  const passing: readonly [number, Record<string, string>, boolean, number | null][] = [
    [429, {}, true, null], [429, { 'retry-after': '3' }, true, 3000], [408, {}, false, null], [409, {}, false, null], [500, {}, false, null], [502, {}, false, null],
    [503, { 'retry-after-ms': '70' }, true, 70], [400, { 'x-should-retry': 'true' }, false, null],
  ]; // prettier-ignore
  for (const [code, headers, everybody, waitMs] of passing) {
    const judged = status(code, { message: 'later' }, headers);
    assert.ok(!(judged instanceof CallerError), String(code));
    assert.deepEqual([judged.everybody, judged.waitMs, judged.lost], [everybody, waitMs, false], String(code));
  }
  const callers: readonly [number, Record<string, unknown>, Record<string, string>, string][] = [
    [429, { message: 'no money', code: 'insufficient_quota' }, {}, 'LIMIT_EXCEEDED'],
    [429, { message: 'no money', type: 'insufficient_quota' }, {}, 'LIMIT_EXCEEDED'],
    [402, { message: 'no money' }, {}, 'LIMIT_EXCEEDED'],
    [401, { message: 'key' }, {}, 'BAD_CONFIG'],
    [403, { message: 'region' }, {}, 'BAD_CONFIG'],
    [404, { message: 'model' }, {}, 'NOT_FOUND'],
    [400, { message: 'maximum context length is 10 tokens, max_tokens is 12' }, {}, 'TEXT_TOO_LONG'],
    [400, { message: 'long', code: 'context_length_exceeded' }, {}, 'TEXT_TOO_LONG'],
    [413, { message: 'big' }, {}, 'TEXT_TOO_LONG'],
    [400, { message: 'what?' }, {}, 'BAD_INPUT'],
    [501, { message: 'no embeddings here' }, {}, 'UNSUPPORTED'],
    [500, { message: 'Only no echo is supported' }, {}, 'UNSUPPORTED'],
  ]; // prettier-ignore
  for (const [code, error, headers, kind] of callers) {
    const judged = status(code, error, headers);
    assert.ok(judged instanceof CallerError, JSON.stringify(error));
    assert.equal(judged.code, kind, JSON.stringify(error));
  }
  const never = status(500, { message: 'never again' }, { 'x-should-retry': 'false' });
  assert.ok(!(never instanceof CallerError) && never.hopeless);
  assert.ok(status(400, { message: 'filtered', code: 'content_filter' }) instanceof Withheld);
});

test('the parameter that is refused is the one the server means', () => {
  const named = (error: Record<string, unknown>): string | null => {
    const judged = status(400, error);
    return judged instanceof ParameterRefused ? judged.parameter : null;
  };
  assert.equal(named({ message: "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead." }), 'max_tokens');
  assert.equal(named({ message: "Unsupported parameter: 'max_completion_tokens'; use 'max_tokens'" }), 'max_completion_tokens');
  assert.equal(named({ message: 'use max_completion_tokens', param: 'max_tokens' }), 'max_tokens');
  assert.equal(named({ message: 'the seeds are bad' }), null);
});

test('a broken connection may have cost the work, one that was never made has not', () => {
  const broken = (code: string): unknown => new APIConnectionError({ cause: new TypeError('fetch failed', { cause: Object.assign(new Error('socket'), { code }) }) });
  const lost = (error: unknown): readonly [boolean, boolean] => {
    const judged = judgeFailure(error, ASKED);
    assert.ok(!(judged instanceof CallerError));
    return [judged.lost, judged.unreachable];
  };
  assert.deepEqual(lost(broken('ECONNRESET')), [true, false]);
  assert.deepEqual(lost(broken('UND_ERR_SOCKET')), [true, false]);
  assert.deepEqual(lost(broken('ECONNREFUSED')), [false, true]);
  assert.deepEqual(lost(broken('ENOTFOUND')), [false, true]);
  assert.deepEqual(lost(new TypeError('terminated', { cause: Object.assign(new Error('other side closed'), { code: 'UND_ERR_SOCKET' }) })), [true, false]);
  assert.deepEqual(lost(new TimedOut('late')), [true, false]);
  assert.deepEqual(lost(new UselessBody('half')), [true, false]);
  assert.throws(() => judgeFailure(new RangeError('a bug of ours'), ASKED), RangeError);
});

test('no message holds the key', () => {
  for (const code of [400, 401, 404, 429, 500]) {
    const judged = status(code, { message: `the key sk-secret is bad: ${'x'.repeat(1000)}` });
    const said = judged instanceof CallerError ? judged.message : judged.why;
    assert.doesNotMatch(said, /sk-secret/);
    assert.ok(said.length < 700);
  }
});
