import type { DictionaryWeights } from '../domain/dictionary.ts';
import { CallerError } from '../domain/errors.ts';
import type { CatalogReader, DictionaryRow, ModelRow } from '../ports/CatalogReader.ts';
import type { ChatTemplate } from '../ports/ChatTemplate.ts';
import type { Generator } from '../ports/Generator.ts';
import type { LiveModels } from '../ports/LiveModels.ts';
import type { SubjectModel } from '../ports/SubjectModel.ts';
import type { Tokenizer } from '../ports/Tokenizer.ts';

export interface LiveModelParts {
  readonly reader: CatalogReader;
  /** Opens weights at a source as the catalog stores it; throws CallerError when they are not on this host. */
  openModel(source: string, name: string): Promise<SubjectModel>;
  openTokenizer(source: string, name: string): Promise<Tokenizer>;
  /** The model opened for writing; `beside` is the same one open for reading, whose weights in memory it may share. */
  openGenerator(source: string, name: string, beside: SubjectModel): Promise<Generator>;
  /** Null when the model has none. */
  openChatTemplate(source: string, name: string): Promise<ChatTemplate | null>;
  readDictionary(location: string): Promise<DictionaryWeights>;
  /** Bytes of dictionary weights kept in memory; the least recently used go first. At least one is kept. */
  readonly dictionaryBytes: number;
}

type Opened = Awaited<ReturnType<LiveModels['open']>>;

/**
 * Models opened on first use and kept, dictionaries kept least-recently-used. Concurrent requests share one opening; a failed
 * one is forgotten, so that the next request tries again. Entries are named by weights hash: a dictionary or model loaded
 * anew is opened anew, and files that no longer match the catalog are refused.
 */
export function createLiveModels(parts: LiveModelParts): LiveModels {
  const models = new Map<string, Promise<Opened>>();
  const generators = new Map<string, Promise<Generator>>();
  const templates = new Map<string, Promise<ChatTemplate | null>>();
  const dictionaries = new Map<string, Promise<DictionaryWeights>>();
  const sizes = new Map<string, number>();

  const openModel = async (row: ModelRow): Promise<Opened> => {
    const model = await parts.openModel(row.source, row.name);
    try {
      if (model.info.weightsHash !== row.weightsHash) throw changed(`weights of model ${row.name}`, row.weightsHash, model.info.weightsHash);
      const tokenizer = await parts.openTokenizer(row.source, row.name);
      if (tokenizer.hash !== row.tokenizerHash) throw changed(`tokenizer of model ${row.name}`, row.tokenizerHash, tokenizer.hash);
      return { model, tokenizer };
    } catch (error) {
      await model.close();
      throw error;
    }
  };

  const rowOf = async (modelName: string): Promise<ModelRow> => {
    const row = (await parts.reader.models()).find((candidate) => candidate.name === modelName);
    if (row === undefined) throw new CallerError('NOT_FOUND', `the catalog has no model "${modelName}"`, { field: ['model'] });
    return row;
  };

  const open = (row: ModelRow): Promise<Opened> => shared(models, keyOf(row), () => openModel(row));

  const openGenerator = async (row: ModelRow): Promise<Generator> => {
    const generator = await parts.openGenerator(row.source, row.name, (await open(row)).model);
    if (generator.info.weightsHash === row.weightsHash) return generator;
    await generator.close();
    throw changed(`weights of model ${row.name}`, row.weightsHash, generator.info.weightsHash);
  };

  const readDictionary = async (row: DictionaryRow): Promise<DictionaryWeights> => {
    const weights = await parts.readDictionary(row.location);
    const found = weights.config.weightsHash;
    if (found !== row.weightsHash) throw changed(`weights of dictionary ${row.model}/${row.name}`, row.weightsHash, found);
    const { encoder, encoderBias, threshold, decoder, decoderBias, skip } = weights;
    const arrays = [encoder, encoderBias, threshold, decoder, decoderBias, skip];
    sizes.set(row.weightsHash, arrays.reduce((sum, array) => sum + (array?.byteLength ?? 0), 0));
    return weights;
  };

  const evict = (): void => {
    let total = 0;
    for (const size of sizes.values()) total += size;
    for (const key of dictionaries.keys()) {
      if (total <= parts.dictionaryBytes || dictionaries.size === 1) return;
      const size = sizes.get(key);
      if (size === undefined) continue; // still being read
      dictionaries.delete(key);
      sizes.delete(key);
      total -= size;
    }
  };

  return {
    async open(modelName) {
      return open(await rowOf(modelName));
    },
    async generator(modelName) {
      const row = await rowOf(modelName);
      return shared(generators, keyOf(row), () => openGenerator(row));
    },
    async chatTemplate(modelName) {
      const row = await rowOf(modelName);
      const template = await shared(templates, keyOf(row), () => parts.openChatTemplate(row.source, row.name));
      if (template === null) throw new CallerError('UNSUPPORTED', `model ${modelName} has no chat template: give the prompt as plain text`, { field: ['chat'] });
      return template;
    },
    async dictionary(modelName, dictionaryName) {
      const row = (await parts.reader.dictionaries({ model: modelName })).find((candidate) => candidate.name === dictionaryName);
      if (row === undefined) throw new CallerError('NOT_FOUND', `the catalog has no dictionary "${modelName}/${dictionaryName}"`);
      const weights = await shared(dictionaries, row.weightsHash, () => readDictionary(row));
      evict();
      return weights;
    },
    async close() {
      const writing = await Promise.allSettled(generators.values());
      const opened = await Promise.allSettled(models.values());
      for (const cache of [models, generators, templates, dictionaries]) cache.clear();
      await Promise.all(writing.map((one) => (one.status === 'fulfilled' ? one.value.close() : undefined)));
      await Promise.all(opened.map((one) => (one.status === 'fulfilled' ? one.value.model.close() : undefined)));
    },
  };
}

function keyOf({ weightsHash, tokenizerHash }: ModelRow): string {
  return `${weightsHash} ${tokenizerHash}`;
}

/** The entry of a key, made once and moved to the end (most recently used); a failure is not kept. */
function shared<T>(cache: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const found = cache.get(key) ?? make();
  cache.delete(key);
  cache.set(key, found);
  found.catch(() => {
    if (cache.get(key) === found) cache.delete(key);
  });
  return found;
}

function changed(what: string, expected: string, found: string): CallerError {
  return new CallerError(
    'MODEL_UNAVAILABLE',
    `the ${what} changed since they were loaded: expected ${expected.slice(0, 12)}…, found ${found.slice(0, 12)}…; load them again`,
  );
}
