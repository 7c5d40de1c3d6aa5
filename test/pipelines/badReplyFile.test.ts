import assert from 'node:assert/strict';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileArtefacts } from '../../src/adapters/files/artefacts.ts';
import { openBadReplies } from '../../src/pipelines/badReplyFile.ts';
import type { BadReply } from '../../src/ports/BadReplyLog.ts';
import { gather } from '../helpers/gather.ts';
import { withFolder } from '../helpers/withFolder.ts';

const artefacts = fileArtefacts();
const bad = (feature: number, attempt = 0, reason = 'no JSON'): BadReply => ({ feature, promptVersion: 'p-v1', model: 'm', attempt, reason, reply: `reply ${feature}` });

test('every bad reply is on disk when record returns, however many come at once', () =>
  withFolder(async (folder) => {
    const path = join(folder, 'bad-replies.ndjson');
    const log = await openBadReplies(artefacts, path, () => true);
    await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        if (i % 3 === 0) await new Promise(setImmediate);
        await log.record(bad(i));
        const written = await gather(artefacts.readRecords<BadReply>(path));
        assert.ok(written.some(({ feature }) => feature === i), `bad reply ${i} was not on disk when record returned`);
      }),
    );
    const written = await gather(artefacts.readRecords<BadReply>(path));
    assert.deepEqual(written.map(({ feature }) => feature).toSorted((a, b) => a - b), Array.from({ length: 40 }, (_, i) => i), 'each once');
    await log.record(bad(1, 1, 'empty'));
    assert.deepEqual(log.counts(), { 'p-v1: empty': 1, 'p-v1: no JSON': 40 });
  }));

test('after a kill, those of unfinished features are dropped, since they come again; a torn line too', () =>
  withFolder(async (folder) => {
    const path = join(folder, 'bad-replies.ndjson');
    const first = await openBadReplies(artefacts, path, () => true);
    for (const feature of [0, 2, 1, 5, 3]) await first.record(bad(feature));
    await appendFile(path, '{"feature": 9');
    const again = await openBadReplies(artefacts, path, (feature) => feature < 3);
    assert.deepEqual(again.counts(), { 'p-v1: no JSON': 3 });
    await again.record(bad(3));
    assert.deepEqual((await gather(artefacts.readRecords<BadReply>(path))).map(({ feature }) => feature), [0, 2, 1, 3]);
  }));
