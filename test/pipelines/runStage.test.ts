import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openRunStore } from '../../src/adapters/files/runStore.ts';
import { runStage } from '../../src/pipelines/runStage.ts';
import { quietProgress } from '../helpers/quietProgress.ts';
import { withFolder } from '../helpers/withFolder.ts';

const identity = { stage: 'harvest', params: { a: 1 }, inputs: {}, seed: 0 };

test('a stage runs once, then is reused, and says which', async () => {
  await withFolder(async (home) => {
    const store = openRunStore(home);
    const progress = quietProgress();
    const first = await runStage({ store, progress }, identity, () => Promise.resolve({ n: 3 }));
    const second = await runStage({ store, progress }, identity, () => assert.fail('ran again'));
    assert.equal(first.reused, false);
    assert.equal(second.reused, true);
    assert.deepEqual(second.run, first.run);
    assert.match(progress.lines[0]!, /^harvest: ran [0-9a-f]{16} in/);
    assert.match(progress.lines[1]!, /^harvest: reused [0-9a-f]{16}/);
  });
});

test('a stage that throws can be run again in the same folder', async () => {
  await withFolder(async (home) => {
    const store = openRunStore(home);
    const progress = quietProgress();
    const dirs: string[] = [];
    await assert.rejects(runStage({ store, progress }, identity, ({ dir }) => { dirs.push(dir); throw new Error('half way'); }), /half way/);
    await runStage({ store, progress }, identity, ({ dir }) => { dirs.push(dir); return Promise.resolve({}); });
    assert.equal(dirs[0], dirs[1]);
  });
});
