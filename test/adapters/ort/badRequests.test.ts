import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openSubjectModel } from '../../../src/adapters/ort/openSubjectModel.ts';
import type { ForwardRequest, SubjectModel } from '../../../src/ports/SubjectModel.ts';
import { readFixture } from '../../lm/fixture.ts';

const fixture = readFixture('gpt2-plain'); // D 32, 2 layers, vocabulary 57, context 40
let model: SubjectModel;
before(async () => {
  model = await openSubjectModel(fixture.folder!, { device: 'cpu', workers: 1 });
});
after(() => model.close());

const batch = { rows: 1, cols: 3, ids: Int32Array.of(1, 2, 3), lengths: Int32Array.of(3) };
const good: ForwardRequest = { batch, taps: ['resid_post.0'], logits: 'none' };
const stream = () => new Float32Array(3 * 32);
const withNumber = (value: number) => stream().fill(value, 40, 41);
const long = { rows: 1, cols: 41, ids: new Int32Array(41), lengths: Int32Array.of(41) };

const TABLE: readonly (readonly [string, object, string, RegExp])[] = [
  ['too long', { batch: long }, 'TEXT_TOO_LONG', /41 tokens.*at most 40/],
  ['no rows', { batch: { ...batch, rows: 0 } }, 'BAD_INPUT', /rows: .*found 0/],
  ['half a column', { batch: { ...batch, cols: 2.5 } }, 'BAD_INPUT', /cols: .*found 2\.5/],
  ['too few ids', { batch: { ...batch, ids: Int32Array.of(1) } }, 'BAD_INPUT', /1 x 3 = 3 ids, found 1/],
  ['id beyond the vocabulary', { batch: { ...batch, ids: Int32Array.of(1, 57, 3) } }, 'BAD_INPUT', /position 1: expected an id from 0 to 56, found 57/],
  ['negative id', { batch: { ...batch, ids: Int32Array.of(1, 2, -1) } }, 'BAD_INPUT', /found -1/],
  ['empty row', { batch: { ...batch, lengths: Int32Array.of(0) } }, 'BAD_INPUT', /lengths\[0\]: expected 1 to 3, found 0/],
  ['row longer than the batch', { batch: { ...batch, lengths: Int32Array.of(4) } }, 'BAD_INPUT', /found 4/],
  ['too many lengths', { batch: { ...batch, lengths: Int32Array.of(3, 3) } }, 'BAD_INPUT', /expected 1 entries, found 2/],
  ['nothing asked for', { taps: [] }, 'BAD_INPUT', /nothing is asked for/],
  ['no such layer', { taps: ['resid_post.2'] }, 'BAD_INPUT', /resid_post\.2: the model has layers 0 to 1/],
  ['no such hook point', { taps: ['resid_mid.0'] }, 'BAD_INPUT', /no hook point/],
  ['start at a branch', { from: { at: 'mlp_out.0', residual: stream() } }, 'BAD_INPUT', /from\.at: .*found mlp_out\.0/],
  ['start of the wrong size', { from: { at: 'embed', residual: new Float32Array(5) } }, 'BAD_INPUT', /= 96 numbers, found 5/],
  ['start with NaN', { from: { at: 'embed', residual: withNumber(NaN) } }, 'BAD_INPUT', /not finite/],
  ['tap before the start', { from: { at: 'resid_post.1', residual: stream() } }, 'BAD_INPUT', /resid_post\.0 lies before resid_post\.1/],
  ['edit before the start', { from: { at: 'resid_post.0', residual: stream() }, edits: [{ at: 'embed', delta: stream() }] }, 'BAD_INPUT', /embed lies before/],
  ['delta of the wrong size', { edits: [{ at: 'embed', delta: new Float32Array(1) }] }, 'BAD_INPUT', /edits\[0\]\.delta: .*found 1/],
  ['delta with NaN', { edits: [{ at: 'embed', delta: withNumber(NaN) }] }, 'BAD_INPUT', /not finite/],
  ['delta with infinity', { edits: [{ at: 'embed', delta: withNumber(-Infinity) }] }, 'BAD_INPUT', /not finite/],
];

for (const [name, change, code, message] of TABLE) {
  test(`refused: ${name}`, () => assert.rejects(model.forward({ ...good, ...change } as ForwardRequest), { code, message }));
}

test('a good request still runs after all of these, and padding may hold anything', async () => {
  const padded = { rows: 2, cols: 3, ids: Int32Array.of(1, 2, 3, 4, -9, 10 ** 6), lengths: Int32Array.of(3, 1) };
  const { taps } = await model.forward({ ...good, batch: padded });
  assert.ok(taps.get('resid_post.0')!.every(Number.isFinite));
});

test('one token, and a whole context, run', async () => {
  const one = { rows: 1, cols: 1, ids: Int32Array.of(5), lengths: Int32Array.of(1) };
  const all = { rows: 1, cols: 40, ids: new Int32Array(40).fill(5), lengths: Int32Array.of(40) };
  const [a, b] = await Promise.all([one, all].map((each) => model.forward({ batch: each, taps: ['resid_post.1'], logits: 'last' })));
  for (let d = 0; d < 32; d++) assert.ok(Math.abs(a.taps.get('resid_post.1')![d] - b.taps.get('resid_post.1')![d]) < 1e-4);
});

test('after close, runs are refused', async () => {
  const closed = await openSubjectModel(fixture.folder!, { device: 'cpu', workers: 1 });
  await closed.close();
  await closed.close();
  await assert.rejects(closed.forward(good), { name: 'OutsideError', message: /closed/ });
});
