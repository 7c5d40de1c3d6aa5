import { pino } from 'pino';
import { createAccess, type AccessOptions } from '../../src/catalog/access.ts';
import { createCatalog } from '../../src/catalog/catalog.ts';
import { createExplainService } from '../../src/catalog/explainFeature.ts';
import { createLiveModels } from '../../src/catalog/liveModels.ts';
import { createPatchService } from '../../src/catalog/patch.ts';
import { createSteerService } from '../../src/catalog/steer.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { createServer, type ServerOptions } from '../../src/graphql/server.ts';
import type { CatalogReader } from '../../src/ports/CatalogReader.ts';
import type { FeatureExplainers } from '../../src/ports/FeatureExplainers.ts';
import { ask, send, type GraphQLAnswer, type Json } from '../helpers/graphqlClient.ts';
import { seedCatalog, type SeedOptions } from '../helpers/seedCatalog.ts';
import { withCatalog, type TestCatalog } from '../helpers/withCatalog.ts';

export interface TestServer {
  readonly url: string;
  /** Without /graphql. */
  readonly base: string;
  readonly catalog: TestCatalog;
  /** Lines of the server's log, parsed. */
  readonly log: { readonly msg: string; readonly [key: string]: unknown }[];
  /** Sends an operation; the answer may hold errors. */
  send(query: string, variables?: Record<string, Json>, headers?: Record<string, string>): Promise<GraphQLAnswer>;
  /** Sends an operation that must succeed; returns its data. */
  ask(query: string, variables?: Record<string, Json>): Promise<Json>;
}

export interface TestServerOptions {
  readonly seed?: SeedOptions;
  readonly server?: Partial<ServerOptions>;
  /** Who may do what, by the keys of the database; without it everybody is the owner. */
  readonly access?: AccessOptions;
  /** What explains features on demand; without it nothing does. */
  readonly explainers?: FeatureExplainers;
  /** Replaces reads, to see how failures are shown. */
  readonly reader?: (reader: CatalogReader) => CatalogReader;
}

/** A server over HTTP on a seeded catalog in a real PostgreSQL. Its model `toy` has no files: live runs answer MODEL_UNAVAILABLE. */
export async function withServer(options: TestServerOptions, work: (server: TestServer) => Promise<void>): Promise<void> {
  await withCatalog(async (catalog) => {
    await seedCatalog(catalog.writer, options.seed);
    const reader = options.reader?.(catalog.reader) ?? catalog.reader;
    const missing = async (): Promise<never> => {
      throw new CallerError('MODEL_UNAVAILABLE', 'the files of model toy are not here');
    };
    const live = createLiveModels({ reader, openModel: missing, openTokenizer: missing, openGenerator: missing, openChatTemplate: missing, readDictionary: missing, dictionaryBytes: 1e6 });
    const { explainers } = options;
    const patches = createPatchService({ reader, live, codeVersion: 'test' });
    const steers = createSteerService({ reader, live, codeVersion: 'test' });
    const log: TestServer['log'] = [];
    const server = await createServer({
      catalog: createCatalog({ reader, search: catalog.search, annotations: catalog.annotations, live, patches, steers, version: '0.0.0-test', ...(explainers === undefined ? {} : { explanations: createExplainService({ reader, writer: catalog.writer, explainers }) }) }),
      host: '127.0.0.1',
      port: 0,
      ...(options.access === undefined ? {} : { access: createAccess(catalog.keys, options.access) }),
      // Everything that may be is run compiled, so that all tests of answers test that too.
      execution: { before: 0 },
      log: pino({ level: 'info' }, { write: (line: string) => void log.push(JSON.parse(line) as TestServer['log'][number]) }),
      ...options.server,
    });
    const { url } = server;
    try {
      await work({
        url,
        base: url.replace(/\/graphql$/, ''),
        catalog,
        log,
        send: (query, variables, headers) => send(url, query, variables, headers),
        ask: (query, variables) => ask(url, query, variables),
      });
    } finally {
      await server.close();
    }
  });
}
