import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import { createCatalog } from '../../src/catalog/catalog.ts';
import { createLiveModels } from '../../src/catalog/liveModels.ts';
import { createPatchService } from '../../src/catalog/patch.ts';
import { createSteerService } from '../../src/catalog/steer.ts';
import type { DictionaryWeights } from '../../src/domain/dictionary.ts';
import type { FeatureAnalysis } from '../../src/domain/feature.ts';
import { parseHookPoint } from '../../src/domain/hookPoint.ts';
import { createServer } from '../../src/graphql/server.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import { ask, send, type GraphQLAnswer, type Json } from '../helpers/graphqlClient.ts';
import { oracleDictionary, type OracleBatch } from '../helpers/oracleDictionary.ts';
import { loadSeeded, seedFeature } from '../helpers/seedCatalog.ts';
import { tiedDictionary } from '../helpers/tiedDictionary.ts';
import { withCatalog, type TestCatalog } from '../helpers/withCatalog.ts';
import { wordTokenizer } from '../helpers/wordTokenizer.ts';
import { readFixture } from '../lm/fixture.ts';

export const TINY = 'tiny';
/** Features of its dictionary `many`. */
export const MANY = 200;

export interface TinyServer {
  readonly url: string;
  readonly catalog: TestCatalog;
  readonly model: SubjectModel;
  readonly dictionaries: ReadonlyMap<string, DictionaryWeights>;
  readonly oracle: OracleBatch;
  /** Forward runs begun so far. */
  forwards(): number;
  /** Live runs that have a place now, running or waiting. */
  places(): number;
  /** Lets no forward run begin until what it returns is called. */
  hold(): () => void;
  send(query: string, variables?: Record<string, Json>): Promise<GraphQLAnswer>;
  ask(query: string, variables?: Record<string, Json>): Promise<Json>;
}

/**
 * A server over HTTP, with PostgreSQL, that runs a tiny GPT-NeoX now, whose tokens are words `w0` to `w63` and whose prompts begin
 * with no token of their own. Dictionaries: those of the PyTorch oracle (scripts/oracle/patch.py), and `many`.
 */
export async function withTinyServer(work: (server: TinyServer) => Promise<void>): Promise<void> {
  const path = fileURLToPath(new URL('../fixtures/patch/neox-serial.json', import.meta.url));
  const { batch } = JSON.parse(readFileSync(path, 'utf8')) as { readonly batch: OracleBatch };
  const opened = await openSubjectModel(readFixture('neox-serial').folder!, { device: 'cpu', workers: 1, name: TINY });
  const tokenizer = wordTokenizer(opened.info.vocabSize, null);
  let forwards = 0;
  let held: Promise<void> | undefined;
  const model: SubjectModel = {
    info: { ...opened.info, tokenizerHash: tokenizer.hash },
    concurrency: opened.concurrency,
    async forward(request) {
      await held;
      forwards++;
      return opened.forward(request);
    },
    unembedding: () => opened.unembedding(),
    finalNorm: () => opened.finalNorm(),
    close: () => opened.close(),
  };
  const dictionaries = new Map<string, DictionaryWeights>(Object.entries(batch.dictionaries).map(([name, one]) => [name, oracleDictionary(name, model.info.dModel, one)]));
  dictionaries.set('many', tiedDictionary('many', 'resid_post.0', model.info.dModel, MANY, { seed: 1, bias: -0.1 }));
  await withCatalog(async (catalog) => {
    await catalog.writer.loadModel({ ...model.info, source: '' }, Array.from({ length: model.info.vocabSize }, (_, id) => `w${id}`));
    for (const [name, weights] of dictionaries) {
      const config = { ...weights.config, model: TINY };
      const layer = parseHookPoint(config.hookPoint).layer;
      if (name === 'many') await loadSeeded(catalog.writer, config, name, layer);
      else await catalog.writer.loadDictionary({ config, quality: null, location: name, tokensAnalysed: 100, runs: RUNS, features: analyses(batch, name, config.nFeatures), explanations: [] });
    }
    const nothing = (): Promise<never> => Promise.reject(new Error('nothing is written here'));
    const live = createLiveModels({
      reader: catalog.reader,
      openModel: () => Promise.resolve(model),
      openTokenizer: () => Promise.resolve(tokenizer),
      openGenerator: nothing,
      openChatTemplate: nothing,
      readDictionary: (location) => Promise.resolve(dictionaries.get(location)!),
      dictionaryBytes: 1e9,
    });
    const patches = createPatchService({ reader: catalog.reader, live, codeVersion: 'test' });
    const steers = createSteerService({ reader: catalog.reader, live, codeVersion: 'test' });
    const served = createCatalog({ reader: catalog.reader, search: catalog.search, live, patches, steers, version: 'test' });
    const server = await createServer({
      catalog: served,
      host: '127.0.0.1',
      port: 0,
      log: pino({ level: 'silent' }),
    });
    try {
      await work({
        url: server.url,
        catalog,
        model,
        dictionaries,
        oracle: batch,
        forwards: () => forwards,
        places() {
          const { running, waiting } = served.liveRuns();
          return running + waiting;
        },
        hold() {
          const { promise, resolve } = Promise.withResolvers<void>();
          held = promise;
          return () => {
            held = undefined;
            resolve();
          };
        },
        send: (query, variables) => send(server.url, query, variables),
        ask: (query, variables) => ask(server.url, query, variables),
      });
    } finally {
      await server.close();
      await live.close();
    }
  });
}

const run = (stage: string) => ({
  key: `${stage}-fedcba9876543210`, stage, params: {}, inputs: {}, seed: 1, codeVersion: 'test', startedAt: '2026-01-02T03:04:05.000Z', finishedAt: null, metrics: {},
}); // prettier-ignore
const RUNS = { train: run('train'), analyse: run('analyse') };

/** Analyses whose density times mean is the mean that the oracle ablates to. */
async function* analyses(batch: OracleBatch, name: string, features: number): AsyncIterable<FeatureAnalysis> {
  const means = new Map(batch.interventions.flatMap((one) => one.features.flatMap(({ dictionary, index, operation }) => (dictionary === name && operation.kind === 'ablate_to_mean' ? [[index, operation.mean] as const] : []))));
  for (let index = 0; index < features; index++) {
    const mean = means.get(index);
    yield { ...seedFeature(0, index, features, 3), ...(mean === undefined ? {} : { density: 0.25, meanActivation: 4 * mean }) };
  }
}
