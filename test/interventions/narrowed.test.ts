import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import { intervene } from '../../src/interventions/intervene.ts';
import type { Intervention, WatchedFeature } from '../../src/interventions/intervention.ts';
import { Rng } from '../../src/math/rng.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import { randomDictionary } from '../helpers/randomDictionary.ts';
import { tiedDictionary } from '../helpers/tiedDictionary.ts';
import { readFixture } from '../lm/fixture.ts';

/**
 * Edited runs ask for the last layer at the positions they measure only. The same must come of a model that gives every
 * position: for features watched elsewhere in the last layer, at its ends, in rows of unequal length, edits in it included.
 */
test('watched features and predictions are those of runs at all positions', async () => {
  const model = await openSubjectModel(readFixture('neox-serial').folder!, { device: 'cpu', workers: 1 });
  try {
    const { dModel, vocabSize, layers } = model.info;
    const last = layers - 1;
    /** Ignores where taps are wanted. `asked`: of how many runs, and at how many of their positions. */
    const asked = { runs: 0, some: 0, all: 0 };
    const whole: SubjectModel = {
      info: model.info,
      concurrency: 1,
      forward({ tapsAt, ...request }) {
        if (tapsAt !== undefined) {
          asked.runs++;
          asked.some += tapsAt.flat().length;
          asked.all += request.batch.lengths.reduce((sum, length) => sum + length, 0);
        }
        return model.forward(request);
      },
      unembedding: () => model.unembedding(),
      finalNorm: () => model.finalNorm(),
      close: () => Promise.resolve(),
    };
    const rng = new Rng(3);
    const prompts = [20, 1, 13].map((length) => Int32Array.from({ length }, () => rng.int(vocabSize)));
    const early = tiedDictionary('early', `resid_post.${last - 1}`, dModel, 12, { seed: 1, bias: 1 });
    const late = randomDictionary('late', `mlp_in.${last}`, dModel, 12, { seed: 2, bias: 1, outputHookPoint: `mlp_out.${last}` });
    const seen = [
      tiedDictionary('attention', `attn_out.${last}`, dModel, 12, { seed: 3, bias: 1 }),
      randomDictionary('one-of-k', `mlp_in.${last}`, dModel, 12, { seed: 4, architecture: 'topk', k: 3 }),
      tiedDictionary('mlp', `mlp_out.${last}`, dModel, 12, { seed: 5, bias: 1 }),
      tiedDictionary('end', `resid_post.${last}`, dModel, 12, { seed: 6, bias: 1 }),
    ];
    const interventions = prompts.flatMap(({ length }, prompt) =>
      [early, late].flatMap((weights) =>
        [[length - 1], [0], [...new Set([0, Math.floor(length / 2)])], []].map((positions, i): Intervention => ({
          prompt, target: null, error: 'keep',
          features: [{ weights, index: 2, operation: { kind: 'add', value: 3 }, positions: [Math.floor(length / 2)] }],
          measures: {
            positions, klFromBase: true, logProbs: [4],
            // Each watched somewhere else than the others, one at the first and one at the last position.
            watch: seen.map((one, w): WatchedFeature => ({ weights: one, index: 7, positions: [w === i ? 0 : Math.max(0, length - 1 - w)] })),
          },
        })),
      ),
    );
    const [few, all] = [await intervene(model, { prompts, interventions }), await intervene(whole, { prompts, interventions })];
    assert.ok(asked.runs > 0 && asked.some < asked.all / 2, `${asked.runs} runs, ${asked.some} of ${asked.all} positions`);
    let moved = 0;
    const close = (one: number, other: number, what: string): void => assert.ok(Math.abs(one - other) < 1e-4, `${what}: ${one}, of all positions ${other}`);
    for (const [i, { predictions, watched }] of few.entries()) {
      for (const [w, { before, after }] of watched.entries()) {
        close(before[0]!, all[i]!.watched[w]!.before[0]!, `intervention ${i}, watched ${w}, before`);
        close(after[0]!, all[i]!.watched[w]!.after[0]!, `intervention ${i}, watched ${w}, after`);
        if (Math.abs(after[0]! - before[0]!) > 0.01) moved++;
      }
      for (const [p, { klFromBase, logProbs }] of predictions.entries()) {
        close(klFromBase!, all[i]!.predictions[p]!.klFromBase!, `intervention ${i}, prediction ${p}`);
        close(logProbs[0]!.patched, all[i]!.predictions[p]!.logProbs[0]!.patched, `intervention ${i}, prediction ${p}`);
      }
    }
    assert.ok(moved > 10, `${moved} watched features moved`);
  } finally {
    await model.close();
  }
});
