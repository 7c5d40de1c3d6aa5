import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import { thresholdPass, thresholds } from '../../src/causal/thresholdOrdering.ts';
import { outputHookPointOf, type DictionaryWeights } from '../../src/domain/dictionary.ts';
import { cleanPairs, type CleanPair, type PromptPair } from '../../src/interventions/cleanPairs.ts';
import { intervene } from '../../src/interventions/intervene.ts';
import { patchAttribution } from '../../src/interventions/patchAttribution.ts';
import { PatchedSet } from '../../src/interventions/patchedSet.ts';
import { Rng } from '../../src/math/rng.ts';
import type { GradientModel } from '../../src/ports/GradientModel.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import { randomDictionary } from '../helpers/randomDictionary.ts';
import { perfectDictionary, tiedDictionary } from '../helpers/tiedDictionary.ts';
import { readFixture } from '../lm/fixture.ts';

const near = (found: number, expected: number, what: string): void => assert.ok(Math.abs(found - expected) <= 1e-6 + 1e-4 * Math.abs(expected), `${what}: ${found} for ${expected}`);

/** Pairs of several lengths whose targets differ at one token. */
function pairsOf({ info }: SubjectModel, count: number): PromptPair[] {
  const rng = new Rng(4);
  return Array.from({ length: count }, (_, p) => {
    const base = Int32Array.from({ length: 5 + (p % 3) }, () => rng.int(info.vocabSize));
    const target = base.slice();
    target[2] = (target[2] + 1 + rng.int(info.vocabSize - 1)) % info.vocabSize;
    return { base, target };
  });
}

for (const name of ['neox-serial', 'gpt2-plain', 'llama-gqa']) {
  const { folder, missing } = readFixture(name);
  describe(`sets of patched features of ${name}`, { skip: folder === undefined ? missing : false }, () => {
    let model: GradientModel;
    let pairs: PromptPair[];
    let dictionaries: readonly DictionaryWeights[];
    let clean: CleanPair[];
    before(async () => {
      model = await openSubjectModel(folder!, { device: 'cpu', workers: 2 });
      const { dModel, layers } = model.info;
      const last = layers - 1;
      pairs = pairsOf(model, 7);
      dictionaries = [
        tiedDictionary('0-tied', 'resid_post.0', dModel, 24, { seed: 1, bias: -0.2, inputScale: 0.7 }),
        randomDictionary('1-topk', 'attn_out.1', dModel, 24, { seed: 2, architecture: 'topk', k: 5 }),
        randomDictionary('0-transcoder', 'mlp_in.0', dModel, 24, { seed: 3, bias: -0.1, outputHookPoint: 'mlp_out.0', outputScale: 0.4, skip: true }),
        tiedDictionary('last-tied', `resid_post.${last}`, dModel, 24, { seed: 5, bias: 0 }),
        perfectDictionary('0-perfect', 'resid_post.0', dModel, 1, 1.3),
        perfectDictionary('last-perfect', `resid_post.${last}`, dModel, 2),
      ];
      clean = await cleanPairs(model, pairs, dictionaries);
    });
    after(() => model.close());

    /** The same by the engine of single interventions: KL of each prompt and mean edit norm over all positions. */
    async function byEngine(weights: DictionaryWeights, features: readonly number[]): Promise<{ perPrompt: number[]; magnitude: number }> {
      const results = await intervene(model, {
        prompts: pairs.flatMap(({ base, target }) => [base, target]),
        interventions: pairs.map(({ base: { length } }, p) => ({
          prompt: 2 * p, target: 2 * p + 1, error: 'keep' as const, measures: { positions: [length - 1], klFromTarget: true, editMagnitude: true },
          features: features.map((index) => ({ weights, index, operation: { kind: 'replace_from_target' as const }, positions: Array.from({ length }, (_, t) => t) })),
        })),
      }); // prettier-ignore
      const norms = results.flatMap(({ editMagnitude }) => [...editMagnitude!.perPosition]);
      return { perPrompt: results.map(({ predictions }) => predictions[0].klFromTarget!), magnitude: norms.reduce((a, b) => a + b, 0) / norms.length };
    }

    test('equal intervene with the same set, at streams, branches and transcoders', async () => {
      for (const weights of dictionaries) {
        const what = `${weights.config.name} at ${outputHookPointOf(weights.config)}`;
        const units = Array.from({ length: weights.config.nFeatures }, (_, j) => [j]);
        const set = new PatchedSet(model, clean, weights, units);
        const nothing = set.kl;
        const rng = new Rng(9);
        for (const size of [1, 4, set.changes.active.length]) {
          const members = [...rng.shuffle([...set.changes.active])].slice(0, size);
          const point = await set.reset(members);
          const expected = await byEngine(weights, members);
          point.perPrompt.forEach((kl, p) => near(kl, expected.perPrompt[p], `${what}, ${size} features, prompt ${p}`));
          near(point.magnitude, expected.magnitude, `${what}, ${size} features, magnitude`);
          if (size > 4) assert.ok(Math.abs(point.kl - nothing) > 1e-3 * nothing, `${what} must do something`);
        }
      }
    });

    test('single trials and prefixes equal whole sets, however many ran ahead', async () => {
      for (const weights of dictionaries.slice(0, 4)) {
        const units = Array.from({ length: 12 }, (_, j) => [j, j + 12]);
        const set = new PatchedSet(model, clean, weights, units, 64);
        const fresh = new PatchedSet(model, clean, weights, units);
        const left = [...set.changes.active];
        await set.reset(left);
        const rng = new Rng(3);
        for (let round = 0; round < 2; round++) {
          for (const [i, unit] of [...left].entries()) {
            const kl = await set.without(unit, left.slice(i + 1));
            near(kl, (await fresh.reset(left.filter((one) => one !== unit))).kl, `${weights.config.name} without ${unit}`);
            if (rng.next() < 0.3) {
              set.takeOut(unit);
              left.splice(left.indexOf(unit), 1);
              near(set.kl, kl, 'after leaving');
            }
          }
        }
        assert.deepEqual(set.members, left);
        near(set.point.magnitude, (await fresh.reset(left)).magnitude, 'magnitude of what is left');
        const order = set.changes.active.toReversed();
        let k = 0;
        for await (const point of set.prefixes(order)) {
          const expected = await fresh.reset(order.slice(0, ++k));
          near(point.kl, expected.kl, `${weights.config.name}, first ${k}`);
          near(point.magnitude, expected.magnitude, `${weights.config.name}, first ${k}, magnitude`);
        }
        assert.equal(k, order.length);
      }
    });

    test('a pass asks and decides as one that makes every set from scratch', async () => {
      for (const weights of dictionaries.slice(0, 4)) {
        const units = Array.from({ length: 24 }, (_, j) => [j]);
        const [set, fresh] = [new PatchedSet(model, clean, weights, units), new PatchedSet(model, clean, weights, units)];
        let left: readonly number[] = set.changes.active;
        await set.reset(left);
        for (const [i, tau] of thresholds(4, -4, -1).entries()) {
          const members = new Set(left);
          const order = [...Rng.derive(6, i).shuffle(Uint32Array.from(left))];
          let visited = 0;
          const checked = {
            get kl() { return set.kl; },
            takeOut: (unit: number) => (members.delete(unit), set.takeOut(unit)),
            without: async (unit: number, next: ArrayLike<number>) => {
              assert.deepEqual([unit, ...Array.from(next)], order.slice(visited++), 'each once, in the order of the seed');
              near(set.kl, (await fresh.reset([...members])).kl, `${weights.config.name}, before ${unit}`);
              const kl = await set.without(unit, next);
              near(kl, (await fresh.reset([...members].filter((one) => one !== unit))).kl, `${weights.config.name}, without ${unit}`);
              return kl;
            },
          }; // prettier-ignore
          left = await thresholdPass(checked, left, tau, Rng.derive(6, i));
          assert.equal(visited, order.length);
          assert.deepEqual(set.members, left);
        }
      }
    });

    test('a perfect dictionary patched whole gives the target run', async () => {
      for (const weights of dictionaries.slice(4)) {
        const set = new PatchedSet(model, clean, weights, Array.from({ length: weights.config.nFeatures }, (_, j) => [j]));
        const before = set.kl;
        const { kl, magnitude } = await set.reset(set.changes.active);
        assert.ok(kl < 1e-6 && before > 1e-4, `${weights.config.name}: ${before} → ${kl}`);
        assert.ok(magnitude > 0);
      }
    });

    test('attribution is the derivative of the KL along each edit, and over many steps adds up to the whole change', async () => {
      for (const weights of dictionaries.slice(0, 5)) {
        const { name: what } = weights.config;
        const set = new PatchedSet(model, clean, weights, Array.from({ length: weights.config.nFeatures }, (_, j) => [j]));
        const { runs, changes } = set;
        const found = await patchAttribution(model, runs, changes, 1);
        const alone = async (unit: number, share: number): Promise<number> => {
          const rows = pairs.map(({ base: { length } }, prompt) => {
            const delta = new Float64Array(length * runs.width);
            changes.addTo(delta, unit, prompt, share);
            return { prompt, delta: Float32Array.from(runs.lastOnly ? delta.subarray(delta.length - runs.width) : delta) };
          });
          return (await runs.kl(rows)).reduce((sum, kl) => sum + kl, 0) / pairs.length;
        };
        const largest = Math.max(...found.map(Math.abs));
        assert.ok(largest > 1e-6, what);
        const step = 2 ** -5;
        for (const unit of changes.active.slice(0, 8)) {
          const slope = ((await alone(unit, step)) - (await alone(unit, -step))) / (2 * step);
          assert.ok(Math.abs(found[unit] - slope) < 0.01 * Math.abs(slope) + 1e-3 * largest, `${what}, unit ${unit}: ${found[unit]} for ${slope}`);
        }
        const { kl: none } = await set.reset([]);
        const { kl: all } = await set.reset(changes.active);
        const summed = (await patchAttribution(model, runs, changes, 32)).reduce((sum, effect) => sum + effect, 0);
        assert.ok(Math.abs(summed - (all - none)) < 0.02 * Math.abs(all - none) + 1e-5, `${what}: ${summed} for ${all - none}`);
      }
    });

    test('passes of rising thresholds give nested sets, and what no trial needs again is not run again', async () => {
      const set = new PatchedSet(model, clean, dictionaries[0], Array.from({ length: 24 }, (_, j) => [j]));
      let members: readonly number[] = set.changes.active;
      await set.reset(members);
      for (const [i, tau] of thresholds(8).entries()) {
        const stayed: number[] = await thresholdPass(set, members, tau, Rng.derive(1, i));
        assert.ok(stayed.every((unit) => members.includes(unit)), 'nested');
        assert.deepEqual(set.members, stayed);
        // Every one that stayed is worth at least tau in the set it was tried in; asked again in the same set, nothing is run.
        const { rows } = set.runs.cost;
        if (stayed.length === members.length) {
          await thresholdPass(set, stayed, tau, Rng.derive(2, i));
          assert.equal(set.runs.cost.rows, rows);
        }
        members = stayed;
      }
      assert.ok(members.length < set.changes.active.length);
    });
  });
}
