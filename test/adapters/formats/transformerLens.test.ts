import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { rowsOnCentred } from '../../../src/adapters/formats/linearFolds.ts';
import { fromTransformerLens } from '../../../src/adapters/formats/hookNames.ts';
import { openSubjectModel } from '../../../src/adapters/ort/openSubjectModel.ts';
import type { HookPoint } from '../../../src/domain/hookPoint.ts';
import { expectedOf, relativeError } from './parity.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const MODELS: readonly (readonly [string, string])[] = [['gpt2-plain', 'test/fixtures/lm/gpt2-plain'], ['demo', 'models/demo']];

test('TransformerLens gives our values without weight processing, and ours less their mean with it', async () => {
  const expected = await expectedOf('transformer_lens');
  for (const [name, path] of MODELS) {
    const model = await openSubjectModel(join(ROOT, path), { device: 'cpu', workers: 1 });
    try {
      const D = model.info.dModel;
      const ids = Int32Array.from(expected.get(`${name}.ids`)!.data);
      // As the name of the hook says, and for the norm's output what hookNames.ts says of LayerNorm models.
      const hooks = ['blocks.0.hook_resid_pre', 'blocks.1.hook_resid_post', 'blocks.1.hook_attn_out', 'blocks.1.hook_mlp_out'].map((hook) => [hook, fromTransformerLens(hook)!] as const);
      const normalised: readonly (readonly [string, HookPoint])[] = [['blocks.1.ln2.hook_normalized', 'mlp_in.1']];
      const { taps } = await model.forward({ batch: { rows: 1, cols: ids.length, ids, lengths: Int32Array.of(ids.length) }, taps: [...hooks, ...normalised].map(([, ours]) => ours), logits: 'none' });
      for (const [theirs, ours] of [...hooks, ...normalised]) {
        const error = relativeError(taps.get(ours)!, expected.get(`${name}.plain.${theirs}`)!.data);
        assert.ok(error < 2e-5, `${name} ${theirs}: ${error}`);
      }
      let apart = 0;
      for (const [theirs, ours] of hooks) {
        const raw = taps.get(ours)!;
        const processed = expected.get(`${name}.processed.${theirs}`)!.data;
        const error = relativeError(rowsOnCentred(raw, D), processed);
        assert.ok(error < 2e-5, `${name} ${theirs}: ${error}`);
        apart = Math.max(apart, relativeError(raw, processed));
      }
      assert.ok(apart > 0.01, `${name}: without the fold some hook differs by ${apart}`);
    } finally {
      await model.close();
    }
  }
});
