import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { MeilisearchIndex } from '../../src/adapters/meilisearch/MeilisearchIndex.ts';
import { openCatalog } from '../../src/adapters/prisma/catalog.ts';
import { bringInStep, type CountRow, type InStep } from '../../src/catalog/searchIndex/bringInStep.ts';
import { followOutbox } from '../../src/catalog/searchIndex/follow.ts';
import type { IndexParts } from '../../src/catalog/searchIndex/parts.ts';
import { CallerError, OutsideError, messageOf } from '../../src/domain/errors.ts';
import type { DictionaryRow } from '../../src/ports/CatalogReader.ts';
import { lazyEmbeddings, meiliOptions } from '../../src/searchEngine.ts';
import { table } from '../table.ts';
import type { Workspace } from '../workspace.ts';

export interface IndexStageOptions {
  readonly rebuild: boolean;
  readonly follow: boolean;
  /** File of synonyms. */
  readonly synonyms: string | undefined;
}

const Synonyms = z.array(z.array(z.string().trim().toLowerCase().regex(/^[\p{L}\p{N}]{1,64}$/u, 'expected single words')).min(2)).max(1000);

/** Brings the index in step, prints what it holds beside what the catalog holds, and follows where asked to. */
export async function indexStage({ config, progress }: Workspace, { rebuild, follow, synonyms: file }: IndexStageOptions): Promise<void> {
  const options = meiliOptions(config.search);
  if (options === null) throw new CallerError('BAD_CONFIG', 'index: MEILI_URL is not set: expected a Meilisearch server such as http://127.0.0.1:7700. Without one PostgreSQL searches, and needs no index');
  const synonyms = file === undefined ? null : await readSynonyms(file);
  const { reader, outbox, close } = await openCatalog({ home: config.home, ...(config.databaseUrl === undefined ? {} : { databaseUrl: config.databaseUrl }) });
  const embeddings = lazyEmbeddings(config);
  try {
    const parts: IndexParts = { index: new MeilisearchIndex(options), outbox, embeddings: embeddings?.model ?? null };
    const total = [...(await outbox.counts()).values()].reduce((sum, count) => sum + count, 0);
    const task = progress.start('index', total, 'explanations');
    const done = await bringInStep(parts, { rebuild, synonyms, progress: (count) => task.update(count), say: (reason) => progress.say(`building the index ${parts.index.name}: ${reason}`) }).catch((error: unknown) => {
      task.finish('not done');
      throw error;
    });
    task.finish();
    console.log(summary(done, await reader.dictionaries({})));
    if (done.counts.some((row) => row.catalog !== row.index)) throw new OutsideError('meilisearch', 'the index does not hold what the catalog does: does something else write to it?');
    if (follow) await following(parts, (line) => progress.say(line));
  } finally {
    await embeddings?.close();
    await close();
  }
}

function summary({ rebuilt, drained, mended, counts }: InStep, dictionaries: readonly DictionaryRow[]): string {
  const names = new Map(dictionaries.map(({ id, model, name }) => [id, `${model}/${name}`]));
  const rows = counts.map(({ dictionaryId, catalog, index }: CountRow) => [names.get(dictionaryId) ?? `(dictionary ${dictionaryId})`, `${catalog}`, `${index}`]);
  const did = rebuilt === null ? `told of ${drained.explanations} explanations` : `built with ${rebuilt.explanations} explanations${rebuilt.discarded > 0 ? `, ${rebuilt.discarded} left half-built before removed` : ''}`;
  return `${table(['dictionary', 'explanations', 'in the index'], rows)}\n${did}${mended > 0 ? `; ${mended} dictionaries differed and were sent again` : ''}`;
}

async function following(parts: IndexParts, say: (line: string) => void): Promise<void> {
  const follower = followOutbox(parts, {
    onDrained: ({ claims, explanations }) => say(`told of ${explanations} explanations (${claims} changes)`),
    onFailure: (reason) => say(`cannot go on now, and tries again: ${reason}`),
  });
  say('following; interrupt to stop');
  await new Promise<void>((resolve) => {
    // A listener alone does not keep the process: this does.
    const alive = setInterval(() => undefined, 60_000);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        clearInterval(alive);
        resolve();
      });
    }
  });
  await follower.stop();
}

async function readSynonyms(file: string): Promise<z.infer<typeof Synonyms>> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw new CallerError('BAD_INPUT', `--synonyms ${file}: ${messageOf(error)}`, { cause: error });
  }
  const synonyms = Synonyms.safeParse(parsed);
  if (!synonyms.success) throw new CallerError('BAD_INPUT', `--synonyms ${file}: expected lists of at least two words, such as [["bracket", "parenthesis"]]: ${synonyms.error.issues[0]?.message ?? ''}`);
  return synonyms.data;
}
