import type { BulkView } from '../ports/CatalogBulk.ts';
import { runLines } from './catalogBatches.ts';
import { setName } from './catalogLayout.ts';

/** The plain files beside the batches, by path: the field's (but for those of inference hosts, of which there are none), then ours. */
export async function sourceLines(view: BulkView): Promise<Record<string, Iterable<string> | AsyncIterable<string>>> {
  const { model, dictionary } = view;
  const set = setName(dictionary.name);
  const summaries = await view.summaries();
  const runs = [dictionary.trainRun, ...(dictionary.analyseRun === null ? [] : [dictionary.analyseRun]), ...summaries.map(({ run }) => run)];
  const tokens = await view.tokens();
  return {
    'release.jsonl': [JSON.stringify({ name: set, description: '', descriptionShort: '', urls: [], creatorName: null })],
    'model.jsonl': [
      JSON.stringify({ id: model.name, displayNameShort: model.name, displayName: model.name, creatorId: null, layers: model.layers, neuronsPerLayer: null, owner: null, website: null, defaultSourceSetName: set, catalog: model }),
    ],
    'sourceset.jsonl': [JSON.stringify({ modelId: model.name, name: set, description: '', type: dictionary.architecture, creatorName: null, urls: [], releaseName: set })],
    'source.jsonl': [JSON.stringify({ id: dictionary.name, modelId: model.name, setName: set, num_tokens: dictionary.tokensAnalysed, catalog: dictionary })],
    'run.jsonl': runLines(view, runs),
    'explanation_summary.jsonl': summaries.map((summary) => JSON.stringify(summary)),
    'token.jsonl.gz': tokens.map((text) => JSON.stringify(text)),
  };
}
