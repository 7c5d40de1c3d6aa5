import type { CatalogWriter } from '../../src/ports/CatalogWriter.ts';
import type { Run } from '../../src/domain/run.ts';
import { seedConfig, seedFeature, TOY } from '../helpers/seedCatalog.ts';

export const HIDDEN = 'mole';
/** Words of its explanations: one that no other model's hold, one spelled almost like theirs, and twenty that begin like one. */
const WORDS = ['zanzibar', 'girafe', ...Array.from({ length: 20 }, (_, i) => `monda${String.fromCharCode(97 + i)}`)];
const FEATURES = 60;
const HASH = 'd'.repeat(64);

const run = (stage: string, params: Run['params'], inputs: Run['inputs']): Run => ({
  key: `${stage}-fedcba9876543210`, stage, params, inputs, seed: 1, codeVersion: '1', startedAt: '2027-01-02T03:04:05.000Z', finishedAt: null, metrics: {},
}); // prettier-ignore

async function* each<T>(make: (i: number) => T): AsyncIterable<T> {
  for (let i = 0; i < FEATURES; i++) yield make(i);
}

/** A second model beside the seeded one, restricted: its runs name it by weights it has, by weights it had, and not at all. */
export async function addHidden(writer: CatalogWriter, restrict: () => Promise<unknown>): Promise<void> {
  const row = { name: HIDDEN, architecture: 'gpt_neox', layers: 2, dModel: TOY.width, vocabSize: TOY.vocab, contextLength: 64, parameters: 1, weightsHash: 'c'.repeat(64), tokenizerHash: 'b'.repeat(64), source: 'models/mole' } as const;
  const load = async (): Promise<void> => {
    await writer.loadModel(row, Array.from({ length: TOY.vocab }, (_, i) => ` mole${i}`));
    for (const layer of [0, 1]) {
      await writer.loadDictionary({
        config: { ...seedConfig(layer, FEATURES), name: layer === 0 ? '0-tied-r2' : '1-mole-r2', model: HIDDEN, weightsHash: `${layer}${HASH.slice(1)}`, run: 'train-fedcba9876543210' },
        quality: null,
        location: `dictionaries/mole${layer}`,
        tokensAnalysed: 7,
        runs: { train: run('train', { model: HIDDEN }, { model: row.weightsHash }), analyse: run('analyse', { rows: 3 }, { model: 'e'.repeat(64) }) },
        features: each((i) => seedFeature(0, i, FEATURES, 99)),
        explanations: [
          {
            explainer: 'mole-explainer',
            run: run('explain', {}, { dictionary: HASH, model: 'e'.repeat(64) }),
            outcomes: each((index) => ({ kind: 'explained' as const, explanation: { index, explainer: 'mole-explainer', model: null, promptVersion: null, fragments: [], description: `the ${WORDS[index % WORDS.length]} giraffe`, detail: {}, scores: [] } })),
          },
        ],
      });
    }
    const edge = { effect: 0.5, standardError: 0.1, n: 4 };
    await writer.loadCircuits(HIDDEN, [
      {
        run: run('circuits', { set: 'mole' }, { model: 'e'.repeat(64) }),
        edges: [{ sourceDictionary: '0-tied-r2', sourceIndex: 1, targetDictionary: '1-mole-r2', targetIndex: 1, ...edge }],
        outputs: [{ sourceDictionary: '0-tied-r2', sourceIndex: 1, tokenId: 3, token: ' mole3', ...edge }],
      },
    ]);
  };
  await load();
  await restrict();
}
