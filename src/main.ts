import { resolve } from 'node:path';
import { pino, type Logger } from 'pino';
import { fileArtefacts } from './adapters/files/artefacts.ts';
import { isFolder, sourceFolder } from './adapters/hub/sourceFolder.ts';
import { openGenerator } from './adapters/ort/openGenerator.ts';
import { openSubjectModel } from './adapters/ort/openSubjectModel.ts';
import { openCatalog } from './adapters/prisma/catalog.ts';
import { openChatTemplate } from './adapters/tokenizers/chatTemplate.ts';
import { openTokenizer } from './adapters/tokenizers/openTokenizer.ts';
import { checkExposure, createAccess } from './catalog/access.ts';
import { createCatalog } from './catalog/catalog.ts';
import { createExplainService } from './catalog/explainFeature.ts';
import { createLiveModels } from './catalog/liveModels.ts';
import { createPatchService } from './catalog/patch.ts';
import { createSteerService } from './catalog/steer.ts';
import type { Config } from './config.ts';
import { CallerError } from './domain/errors.ts';
import { isLoopback } from './graphql/hosts.ts';
import { createServer, type RunningServer } from './graphql/server.ts';
import { openServerExplainers } from './languageModels.ts';
import { meterDatabase, openOperating } from './operating.ts';
import { openSearch } from './searchEngine.ts';
import { CODE_VERSION } from './version.ts';

/** Weights of dictionaries kept in memory by the server: 1 GiB. */
const DICTIONARY_BYTES = 2 ** 30;
/** Keys and values a model keeps while it writes; one row at least. */
const WRITING_BYTES = 2 ** 29;

export type ServerConfig = Pick<Config, 'home' | 'host' | 'port' | 'databaseUrl' | 'device' | 'workers' | 'logLevel' | 'hubToken' | 'languageModels' | 'api'> & Partial<Pick<Config, 'search' | 'reads'>>;

/** Opens the catalog and serves it; `close` finishes requests under way, then closes models and database. */
export async function startServer(config: ServerConfig, log: Logger = pino({ level: config.logLevel })): Promise<RunningServer> {
  const operating = await openOperating(config.api);
  const { reader, writer, search: inDatabase, outbox, keys, annotations, connections, close: closeCatalog } = await openCatalog({
    home: config.home,
    ...(config.databaseUrl === undefined ? {} : { databaseUrl: config.databaseUrl }),
    ...operating.database,
  });
  meterDatabase(operating.server.meters, connections);
  const artefacts = fileArtefacts();
  const live = createLiveModels({
    reader,
    openModel: async (source, name) => {
      const folder = await modelFolder(config, source, name);
      return openSubjectModel(folder, { name, device: config.device, ...(config.workers === undefined ? {} : { workers: config.workers }) });
    },
    openTokenizer: async (source, name) => openTokenizer(await modelFolder(config, source, name)),
    openGenerator: async (source, name, beside) => openGenerator(await modelFolder(config, source, name), { name, device: config.device, beside, cacheBytes: WRITING_BYTES }),
    openChatTemplate: async (source, name) => {
      try {
        return await openChatTemplate(await modelFolder(config, source, name));
      } catch (error) {
        if (error instanceof CallerError && error.code === 'UNSUPPORTED') return null;
        throw error;
      }
    },
    readDictionary: async (location) => {
      const folder = resolve(config.home, location);
      if (!(await isFolder(folder))) throw absent(`the dictionary's folder ${location}`);
      return (await artefacts.readDictionary(folder)).weights;
    },
    dictionaryBytes: DICTIONARY_BYTES,
  });
  const { explainers, close: closeExplainers } = openServerExplainers(config, {
    live,
    codeVersion: CODE_VERSION,
    badReplies: {
      async record(bad) {
        log.warn(bad, 'a reply of a language model could not be used');
        await Promise.resolve();
      },
    },
    say: (line) => log.warn(line),
  });
  const { search, close: closeSearch } = openSearch(config, { inDatabase, outbox, log, meters: operating.server.meters });
  const closeAll = async (): Promise<void> => {
    await closeSearch();
    await closeExplainers();
    await live.close();
    await closeCatalog();
    await operating.close();
  };
  try {
    const patches = createPatchService({ reader, live, codeVersion: CODE_VERSION });
    const steers = createSteerService({ reader, live, codeVersion: CODE_VERSION });
    const explanations = createExplainService({ reader, writer, explainers });
    const catalog = createCatalog({ reader, search, live, patches, steers, explanations, annotations, version: CODE_VERSION });
    const loopback = isLoopback(config.host);
    await checkExposure(keys, loopback, config.host);
    const access = createAccess(keys, { reads: config.reads ?? 'open', loopback });
    const server = await createServer({ catalog, access, host: config.host, port: config.port, log, ...operating.server });
    return {
      url: server.url,
      async close() {
        await server.close();
        await closeAll();
      },
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

async function modelFolder({ home, hubToken }: ServerConfig, source: string, name: string): Promise<string> {
  const folder = await sourceFolder(source, home, hubToken);
  if (folder === null) throw absent(`the folder of model ${name}`);
  return folder;
}

function absent(what: string): CallerError {
  return new CallerError('MODEL_UNAVAILABLE', `${what} is not on this server: what is stored can be read, but nothing can be run`);
}
