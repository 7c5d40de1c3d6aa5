import { CallerError, invariant } from '../domain/errors.ts';
import type { SparseCodes } from '../domain/sparseCodes.ts';
import type { CatalogReader, DictionaryRow, FeatureKey } from '../ports/CatalogReader.ts';
import type { LiveModels } from '../ports/LiveModels.ts';
import { selectDictionaries } from './dictionaries.ts';
import { checkCount, checkText, LIMITS } from './limits.ts';
import { promptIds, tokenTexts } from './prompt.ts';

export interface ActivationsArgs {
  readonly model: string;
  readonly text: string;
  /** Dictionary names; null = all of the model, the first LIMITS.dictionaries by layer and name. */
  readonly dictionaries: readonly string[] | null;
  readonly topK: number;
}

export interface LiveActivation extends FeatureKey {
  readonly dictionary: DictionaryRow;
  /** In the dictionary's units, above 0. */
  readonly activation: number;
  readonly position: number;
}

export interface DictionaryActivations {
  readonly dictionary: DictionaryRow;
  readonly activeFeatures: number;
  readonly strongest: readonly LiveActivation[];
  readonly tokens: readonly {
    readonly position: number;
    readonly text: string;
    readonly activeFeatures: number;
    readonly features: readonly LiveActivation[];
  }[];
}

export interface TextActivations {
  readonly model: string;
  readonly tokens: readonly string[];
  readonly dictionaries: readonly DictionaryActivations[];
}

/**
 * Runs the model on a text and reads its dictionaries: per token the topK strongest features, and over the text the topK
 * features with the largest activations. Positions are those of `patch`: position 0 is the document-start token. Throws NOT_FOUND, TEXT_TOO_LONG, LIMIT_EXCEEDED, MODEL_UNAVAILABLE.
 */
export async function liveActivations(reader: CatalogReader, live: LiveModels, args: ActivationsArgs): Promise<TextActivations> {
  checkText('text', args.text, LIMITS.textCharacters);
  checkCount('topK', args.topK, 1, LIMITS.topK);
  const rows = await chosenDictionaries(reader, args);
  const { model, tokenizer } = await live.open(args.model);
  const ids = promptIds(tokenizer, model.info.contextLength, args.text, 'text');
  const encode = await Promise.all(rows.map((row) => live.dictionary(row.model, row.name)));
  const { codes } = await model.forward({
    batch: { rows: 1, cols: ids.length, ids, lengths: Int32Array.of(ids.length) },
    taps: [],
    logits: 'none',
    encode,
  });
  invariant(codes.length === rows.length, `${rows.length} dictionaries asked, ${codes.length} answered`);
  const tokens = tokenTexts(tokenizer, ids);
  return {
    model: args.model,
    tokens,
    dictionaries: rows.map((row, i) => dictionaryActivations(row, codes[i]!, tokens, args.topK)),
  };
}

async function chosenDictionaries(reader: CatalogReader, args: ActivationsArgs): Promise<DictionaryRow[]> {
  const all = await selectDictionaries(reader, { model: args.model });
  if (args.dictionaries === null) {
    if (all.length === 0) {
      throw new CallerError('NOT_FOUND', `the catalog has no dictionaries of a model "${args.model}"`, { field: ['model'] });
    }
    return all.slice(0, LIMITS.dictionaries);
  }
  checkCount('dictionaries.length', args.dictionaries.length, 1, LIMITS.dictionaries);
  return args.dictionaries.map((name) => {
    const row = all.find((candidate) => candidate.name === name);
    if (row === undefined) {
      throw new CallerError('NOT_FOUND', `the catalog has no dictionary "${args.model}/${name}"`, { field: ['dictionaries'] });
    }
    return row;
  });
}

function dictionaryActivations(dictionary: DictionaryRow, codes: SparseCodes, tokens: readonly string[], topK: number): DictionaryActivations {
  const best = new Map<number, LiveActivation>();
  const perToken = tokens.map((text, position) => {
    const active: LiveActivation[] = [];
    for (let i = codes.offsets[position]!; i < codes.offsets[position + 1]!; i++) {
      const hit = { dictionary, dictionaryId: dictionary.id, index: codes.features[i]!, activation: codes.values[i]!, position };
      active.push(hit);
      if (hit.activation > (best.get(hit.index)?.activation ?? 0)) best.set(hit.index, hit);
    }
    return { position, text, activeFeatures: active.length, features: strongest(active, topK) };
  });
  return { dictionary, activeFeatures: best.size, strongest: strongest([...best.values()], topK), tokens: perToken };
}

function strongest(hits: LiveActivation[], topK: number): LiveActivation[] {
  return hits.sort((a, b) => b.activation - a.activation || a.index - b.index).slice(0, topK);
}
