import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { openReplyCache } from '../../../src/adapters/files/replyCache.ts';

/** Puts answers FROM, FROM + 1, … into the cache of FOLDER, eight at once, until it is killed; says each number once its put returned. */
const [folder, from] = process.argv.slice(2);
const cache = await openReplyCache(folder!);
let next = Number(from);
const lane = async (): Promise<void> => {
  for (;;) {
    const i = next++;
    await cache.put(createHash('sha256').update(String(i)).digest('hex'), { i, text: 'é'.repeat(i % 3000) });
    writeSync(1, `${i}\n`);
  }
};
await Promise.all(Array.from({ length: 8 }, lane));
