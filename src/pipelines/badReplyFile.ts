import type { Artefacts } from '../ports/Artefacts.ts';
import type { BadReply, BadReplyLog } from '../ports/BadReplyLog.ts';

/** The bad replies of one run, on disk. */
export interface BadReplyFile extends BadReplyLog {
  /** How many there are, by prompt version and reason, e.g. `token-act-pair-v1: no description`. */
  counts(): Readonly<Record<string, number>>;
}

/**
 * Keeps bad replies in a file of records, each on disk before `record` returns; what comes while one write is under way is written
 * together next. A run that goes on after a kill asks the features again that it had not finished, and meets their bad replies
 * again (in the reply cache): on opening, those of features that are not `finished` are therefore dropped.
 */
export async function openBadReplies(artefacts: Artefacts, path: string, finished: (feature: number) => boolean): Promise<BadReplyFile> {
  const counts = new Map<string, number>();
  const count = ({ promptVersion, reason }: BadReply): void => {
    const key = `${promptVersion}: ${reason}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  };
  const kept = async function* (): AsyncGenerator<BadReply> {
    for await (const bad of artefacts.readRecords<BadReply>(path, { optional: true })) {
      if (!finished(bad.feature)) continue;
      count(bad);
      yield bad;
    }
  };
  await artefacts.writeRecords(path, kept());

  let waiting: BadReply[] = [];
  let writing: Promise<void> | null = null;
  const writeAll = async (): Promise<void> => {
    // Those recorded in the same turn go together.
    await Promise.resolve();
    const batch = waiting;
    waiting = [];
    await artefacts.appendRecords(path, batch);
  };
  return {
    async record(bad) {
      count(bad);
      waiting.push(bad);
      // A write under way has taken its batch already: this one is in the next.
      while (waiting.includes(bad)) {
        writing ??= writeAll().finally(() => (writing = null));
        await writing;
      }
    },
    counts: () => Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}
