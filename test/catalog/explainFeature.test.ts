import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createExplainService, type ExplainedFeature, type ExplainFeatureInput, type ExplainService } from '../../src/catalog/explainFeature.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { LIMITS } from '../../src/catalog/limits.ts';
import type { ExplainFeatureRequest } from '../../src/ports/FeatureExplainers.ts';
import { fixedExplainers, LLM_EXPLAINER } from '../helpers/fixedExplainers.ts';
import { loadSeeded, seedCatalog, seedConfig, seedFeature } from '../helpers/seedCatalog.ts';
import { withCatalog, type TestCatalog } from '../helpers/withCatalog.ts';

const FEATURES = 30;

interface Setting {
  readonly catalog: TestCatalog;
  readonly service: ExplainService;
  readonly requests: ExplainFeatureRequest[];
}

const withService = (work: (setting: Setting) => Promise<void>, before?: (catalog: TestCatalog) => Promise<void>): Promise<void> =>
  withCatalog(async (catalog) => {
    await seedCatalog(catalog.writer, { features: FEATURES, layers: 1 });
    const requests: ExplainFeatureRequest[] = [];
    const explainers = fixedExplainers(requests, before === undefined ? undefined : () => before(catalog));
    await work({ catalog, requests, service: createExplainService({ reader: catalog.reader, writer: catalog.writer, explainers }) });
  });

const ask = (index: number, more: Partial<ExplainFeatureInput> = {}): ExplainFeatureInput => ({ feature: { model: 'toy', dictionary: '0-tied-r2', index }, method: null, scorers: [], ...more });
const asExplained = (done: ExplainedFeature) => {
  assert.ok(done.kind === 'explained');
  return done;
};

test('the explainer gets the feature as it was analysed, with all its exemplars and a background of others', () =>
  withService(async ({ service, requests }) => {
    await service.explain(ask(3));
    const [request] = requests;
    assert.deepEqual(request!.feature, seedFeature(0, 3, FEATURES, 7));
    assert.equal(request!.method, 'pattern');
    const own = new Set(request!.feature.exemplars.map(({ row, start }) => `${row} ${start}`));
    const others = Array.from({ length: FEATURES }, (_, i) => i).filter((i) => i !== 3).flatMap((i) => seedFeature(0, i, FEATURES, 7).exemplars.filter(({ kind }) => kind === 'random'));
    const places = new Set(others.map(({ row, start }) => `${row} ${start}`));
    assert.deepEqual(new Set(request!.background.map(({ row, start }) => `${row} ${start}`)), places);
    assert.equal(request!.background.length, places.size, 'none twice');
    assert.ok(request!.background.length > 50 && request!.background.every(({ kind, row, start }) => kind === 'random' && !own.has(`${row} ${start}`)));
  }));

test('what is explained is stored with its run, beside what others said; the same again asks nobody', () =>
  withService(async ({ catalog, service, requests }) => {
    const input = ask(4, { method: 'token-act-pair', scorers: ['detection', 'simulation'] });
    const done = asExplained(await service.explain(input));
    assert.equal(done.row.explainer, LLM_EXPLAINER);
    assert.equal(done.view.row.bestScore, 0.75, 'the feature as it is now');
    assert.deepEqual(done.row.scores.map(({ scorer, judge }) => [scorer, judge]), [['detection-balanced-accuracy', 'judge:8b'], ['simulation-top-random', 'judge:8b']]);
    const key = { dictionaryId: done.row.dictionaryId, index: 4 };
    assert.deepEqual((await catalog.reader.explanations([key]))[0], [done.row]);
    assert.equal((await catalog.reader.runs([done.row.run]))[0]?.stage, 'explain');
    assert.deepEqual((await catalog.reader.skips([key]))[0]!.map(({ explainer }) => explainer), ['pattern-v1']);
    const again = asExplained(await service.explain({ ...input, scorers: ['simulation', 'detection', 'detection'] }));
    assert.deepEqual(again.row, done.row);
    assert.equal(requests.length, 1);
    assert.equal(asExplained(await service.explain({ ...input, scorers: ['detection'] })).row.scores.length, 2, 'the same words: other scores stay');
    assert.equal(requests.length, 2, 'other scorers are another run');
    assert.deepEqual((await catalog.reader.explanations([{ ...key, index: 5 }]))[0]!.map(({ explainer }) => explainer), ['pattern-v1']);
  }));

test('a feature that cannot be explained says why, now and when asked again', () =>
  withService(async ({ catalog, service, requests }) => {
    const input = ask(7, { method: 'token-act-pair' });
    const skipped = { kind: 'skipped', reason: 'too few fragments' } as const;
    assert.deepEqual(await service.explain(input), skipped);
    const [dictionary] = await catalog.reader.dictionaries({ model: 'toy', names: ['0-tied-r2'] });
    const stored = (await catalog.reader.skips([{ dictionaryId: dictionary!.id, index: 7 }]))[0]!.filter(({ explainer }) => explainer === LLM_EXPLAINER);
    assert.deepEqual(stored.map(({ reason }) => reason), ['too few fragments']);
    assert.equal((await catalog.reader.runs([stored[0]!.run]))[0]?.stage, 'explain');
    assert.deepEqual(await service.explain(input), skipped);
    assert.equal(requests.length, 1);
  }));

test('what is not there is refused in words, naming the field', () =>
  withService(async ({ catalog, service, requests }) => {
    const refused = async (input: ExplainFeatureInput, code: string, message: RegExp, field: string): Promise<void> => {
      await assert.rejects(service.explain(input), (error: { code: string; message: string; field: string[] }) => error.code === code && message.test(error.message) && error.field.join('.') === field);
    };
    await refused(ask(1, { method: 'magic' }), 'BAD_INPUT', /unknown method "magic": this server has pattern, token-act-pair/, 'method');
    await refused(ask(1, { scorers: ['simulation', 'taste'] }), 'BAD_INPUT', /unknown scorer "taste": this server has simulation, detection/, 'scorers.1');
    await refused({ ...ask(1), feature: { model: 'toy', dictionary: '9-z', index: 0 } }, 'NOT_FOUND', /no dictionary toy\/9-z/, 'feature');
    await refused(ask(FEATURES), 'NOT_FOUND', /no feature 30: it has 0 to 29/, 'feature');
    await catalog.sql('UPDATE dictionary SET analyse_run = NULL');
    await refused(ask(1), 'UNSUPPORTED', /was not analysed/, 'feature');
    assert.equal(requests.length, 0);
    const none = createExplainService({ reader: catalog.reader, writer: catalog.writer, explainers: { ...fixedExplainers(), methods: [] } });
    await assert.rejects(none.explain(ask(1)), { code: 'UNSUPPORTED' });
  }));

test('a dictionary that gets other weights meanwhile is not given the old explanation', () =>
  withService(
    async ({ catalog, service }) => {
      await assert.rejects(service.explain(ask(4)), { code: 'BUSY', message: /was replaced/ });
      const [{ n } = { n: -1 }] = await catalog.sql<{ n: number }>(`SELECT count(*)::int AS n FROM explanation WHERE "index" = 4`);
      assert.equal(n, 0);
    },
    (catalog) => loadSeeded(catalog.writer, { ...seedConfig(0, FEATURES), weightsHash: 'ff'.repeat(32) }, 'elsewhere'),
  ));

test('one feature of a model at a time, equal requests once, and more than may wait are refused', () => {
  const now = { active: 0, most: 0 };
  const waiting: (() => void)[] = [];
  return withService(
    async ({ service, requests }) => {
      const [fits, tooMany] = [LIMITS.explainRunning + LIMITS.explainWaiting, 3];
      const refused = new Set<number>();
      // The first feature twice, and one request more for each place there is not.
      const running = [0, ...Array.from({ length: fits + tooMany }, (_, i) => i)].map((index) =>
        service.explain(ask(index)).catch((error: unknown) => {
          assert.ok(error instanceof CallerError && error.code === 'BUSY', String(error));
          refused.add(index);
        }),
      );
      const state = { done: false };
      const all = Promise.all(running).finally(() => (state.done = true));
      // Nothing is let go before all are either in, waiting or refused.
      while (!state.done) {
        if (refused.size === tooMany) waiting.shift()?.();
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      await all;
      assert.equal(refused.size, tooMany);
      assert.equal(requests.length, fits);
      assert.equal(now.most, 1);
    },
    async () => {
      now.active++;
      now.most = Math.max(now.most, now.active);
      await new Promise<void>((resolve) => waiting.push(resolve));
      now.active--;
    },
  );
});
