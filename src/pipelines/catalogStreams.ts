import type { Exemplar, ExplainOutcome, FeatureAnalysis, Score } from '../domain/feature.ts';
import type { OfRun } from '../ports/CatalogBulk.ts';
import type { CatalogFolder } from './catalogFolder.ts';
import { exemplarOf, explanationOf, featureOf, scoreOf, skipOf, type TokenId } from './catalogParse.ts';

/** Features of a folder with their exemplars. In memory: one batch's exemplars. */
export async function* featuresOf(folder: CatalogFolder, tokenId: TokenId, done: (features: number) => void): AsyncGenerator<FeatureAnalysis, void, undefined> {
  let count = 0;
  for (const n of await folder.batches('features')) {
    const exemplars = new Map<number, Exemplar[]>();
    for await (const line of folder.batch('activations', n)) {
      const index = line.natural('index');
      const own = exemplars.get(index) ?? [];
      exemplars.set(index, own);
      own.push(exemplarOf(line, tokenId, (kind) => own.filter((one) => one.kind === kind).length).exemplar);
    }
    for await (const line of folder.batch('features', n)) {
      const feature = featureOf(line, tokenId);
      yield { ...feature, exemplars: exemplars.get(feature.index) ?? [] };
      exemplars.delete(feature.index);
      done(++count);
    }
    // The field's own export keeps a feature's activations in the batch of the feature.
    for (const [index] of exemplars) throw await lost(folder, n, index);
  }
}

async function lost(folder: CatalogFolder, n: number, index: number): Promise<Error> {
  for await (const line of folder.batch('activations', n)) {
    if (line.natural('index') !== index) continue;
    try {
      line.fail(`feature ${index} is not in features/batch-${n}.jsonl.gz: expected the activations of a batch's features in the batch of the same number`);
    } catch (error) {
      return error as Error;
    }
  }
  return new Error(`bug: feature ${index} has activations in batch ${n}`);
}

/** What one explainer said; outcomes that name no run are of `run`. In memory: one batch's scores. */
export async function* outcomesOf(folder: CatalogFolder, explainer: string, run: string): AsyncGenerator<OfRun<ExplainOutcome>, void, undefined> {
  for (const n of await folder.batches('explanations')) {
    const scores = new Map<number, { readonly judgedOn: number; readonly score: Omit<Score, 'fragments'> }[]>();
    for await (const line of folder.batch('scores', n)) {
      const read = scoreOf(line);
      if (read.explainer !== explainer) continue;
      const own = scores.get(read.index);
      if (own === undefined) scores.set(read.index, [read]);
      else own.push(read);
    }
    for await (const line of folder.batch('explanations', n)) {
      const { explanation, judgedOn } = explanationOf(line);
      if (explanation.explainer !== explainer) continue;
      const own = scores.get(explanation.index) ?? [];
      const measured = own.map(({ score, judgedOn: at }): Score => ({ ...score, fragments: judgedOn[at] ?? line.fail(`a score was measured on text ${at} of ${judgedOn.length}: the files do not belong together`) }));
      yield { kind: 'explained', explanation: { ...explanation, scores: measured }, run: explanation.run ?? run };
    }
  }
  for await (const line of folder.all('skips')) {
    const skip = skipOf(line);
    if (skip.explainer === explainer) yield { kind: 'skipped', index: skip.index, reason: skip.reason, run: skip.run };
  }
}
