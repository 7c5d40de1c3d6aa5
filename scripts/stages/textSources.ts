import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { installedText } from '../../src/adapters/files/installedText.ts';
import { readTextFile } from '../../src/adapters/files/textSource.ts';
import { demoCorpus } from '../../src/corpus/demoCorpus.ts';
import { CallerError, messageOf } from '../../src/domain/errors.ts';

/** Text that a model is run on. */
export interface TextSource {
  /** For the manifest: where the text came from, without paths of this machine. */
  readonly description: Readonly<Record<string, unknown>>;
  /** sha-256 that changes whenever the documents do. */
  hash(): Promise<string>;
  documents(): AsyncIterable<string>;
}

/** Files of the user's, one after another; see readTextFile for the formats. */
export function fileText(paths: readonly string[]): TextSource {
  return {
    description: { kind: 'files', files: paths.length },
    async hash() {
      const hash = createHash('sha256');
      for (const path of paths) {
        try {
          for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
        } catch (cause) {
          throw new CallerError('NOT_FOUND', `text file ${path} cannot be read: ${messageOf(cause)}`, { cause });
        }
        hash.update('\u0000');
      }
      return hash.digest('hex');
    },
    async *documents() {
      for (const path of paths) yield* readTextFile(path);
    },
  };
}

/**
 * The demo's text: what every installation has on disk after `npm ci`, pinned by the lockfile, with generated sentences
 * between. A seed of its own, so that these are other generated sentences than the demo model was trained on.
 */
export function demoText(seed: number): TextSource {
  const installed = installedText({ nodeModules: join(import.meta.dirname, '..', '..', 'node_modules'), seed });
  installed.catch(() => undefined); // reported where it is awaited
  return {
    description: { kind: 'demo', seed },
    async hash() {
      const hash = createHash('sha256').update(`demo ${seed}`);
      for (const { path, text } of await installed) hash.update(`${path}\u0000${text}\u0000`);
      return hash.digest('hex');
    },
    async *documents() {
      for await (const { text } of demoCorpus({ seed, split: 'train', installed: await installed })) yield text;
    },
  };
}
