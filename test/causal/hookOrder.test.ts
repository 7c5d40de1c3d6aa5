import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hookOrder, pointsOf, startBefore } from '../../src/causal/hookOrder.ts';
import type { HookPoint } from '../../src/domain/hookPoint.ts';
import { randomDictionary } from '../helpers/randomDictionary.ts';

test('hook points in the order of computation; names of one stream are equal', () => {
  const order: HookPoint[][] = [
    ['embed', 'resid_pre.0'], ['attn_out.0'], ['mlp_in.0'], ['mlp_out.0'],
    ['resid_post.0', 'resid_pre.1'], ['attn_out.1'], ['mlp_in.1'], ['mlp_out.1'], ['resid_post.1'],
  ];
  const numbers = order.map((names) => names.map(hookOrder));
  for (const same of numbers) assert.equal(new Set(same).size, 1);
  for (let i = 1; i < numbers.length; i++) assert.ok(numbers[i - 1][0] < numbers[i][0]);
});

test('a run starts at the residual stream before', () => {
  const cases: [HookPoint, HookPoint][] = [
    ['embed', 'embed'], ['resid_pre.0', 'embed'], ['mlp_out.0', 'embed'], ['mlp_in.1', 'resid_post.0'], ['resid_post.0', 'resid_post.0'], ['resid_pre.2', 'resid_post.1'], ['attn_out.2', 'resid_post.1'],
  ];
  for (const [hook, start] of cases) assert.equal(startBefore(hook), start);
});

test('a dictionary is read at its hook point and edited where it writes, never earlier', () => {
  const points = (hook: HookPoint, outputHookPoint?: HookPoint) => pointsOf(randomDictionary('0-test', hook, 4, 2, { seed: 1, ...(outputHookPoint === undefined ? {} : { outputHookPoint }) }).config, 4);
  assert.deepEqual(points('resid_pre.1'), { read: 'resid_post.0', edit: 'resid_post.0' });
  assert.deepEqual(points('mlp_in.2', 'mlp_out.2'), { read: 'mlp_in.2', edit: 'mlp_out.2' });
  assert.deepEqual(points('resid_pre.0', 'resid_post.3'), { read: 'embed', edit: 'resid_post.3' });
  assert.throws(() => points('mlp_out.2', 'mlp_in.2'), { code: 'BAD_DICTIONARY', message: /writes at mlp_in\.2, which comes before/ });
  assert.throws(() => pointsOf(randomDictionary('0-test', 'embed', 4, 2, { seed: 1 }).config, 5), { code: 'BAD_DICTIONARY', message: /vectors of 4 numbers and writes 4, the model's have 5/ });
});
