import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { readCurrentRuns } from '../../src/adapters/files/currentRuns.ts';
import { readManifest } from '../../src/adapters/files/runStore.ts';
import { openTokenizer } from '../../src/adapters/tokenizers/openTokenizer.ts';
import { generateDocument } from '../../src/corpus/document.ts';
import type { Exemplar, ExplainOutcome, FeatureAnalysis, FragmentRef } from '../../src/domain/feature.ts';
import { Rng } from '../../src/math/rng.ts';
import { startCli } from '../helpers/cli.ts';
import { hashJudge, hashLevels } from '../helpers/hashJudge.ts';
import { withOpenaiServer } from '../helpers/openaiServer.ts';
import { withFolder } from '../helpers/withFolder.ts';

const MODEL = join(import.meta.dirname, '..', '..', 'models', 'demo');
const DICTIONARY = '2-tiny';
const FEATURES = 160;

async function run(home: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<string> {
  const cli = startCli(home, args, { EXPLAIN_MODEL: '', JUDGE_MODEL: '', ...environment });
  assert.equal(await cli.ended, 0, cli.output());
  return cli.output();
}

async function records<T>(path: string): Promise<T[]> {
  const found: T[] = [];
  for await (const line of createInterface({ input: createReadStream(path) })) found.push(JSON.parse(line) as T);
  return found;
}

/** The protocol as the paper and its code state it, from the analysis alone; nothing of the program's own splitting is used. */
function byTheRules({ exemplars, maxActivation }: FeatureAnalysis): { explain: Exemplar[]; scored: Exemplar[] } | null {
  const varied = (kind: string): Exemplar[] =>
    exemplars.filter((e) => e.kind === kind && Math.max(...e.activations) > Math.min(...e.activations)).sort((a, b) => a.rank - b.rank);
  const top = varied('top');
  if (maxActivation <= 0 || top.length < 20) return null;
  const random = varied('random');
  return {
    explain: [0, 4, 8, 12, 16].map((i) => top[i]!),
    scored: [...[2, 6, 10, 14, 18].map((i) => top[i]!), ...[1, 4, 7, 10, 13].filter((i) => i < random.length).map((i) => random[i]!)],
  };
}

const nameOf = ({ row, start }: { row: number; start: number }): string => `${row}:${start}`;

test("--protocol paper: the paper's fragments, splits, counts and skips, recomputed from the analysis", async () => {
  await withFolder(async (folder) => {
    const home = join(folder, 'home');
    const rng = new Rng(8);
    const documents = Array.from({ length: 1500 }, () => Array.from({ length: 1 + rng.int(4) }, () => generateDocument(rng)).join('\n'));
    const text = join(folder, 'docs.jsonl');
    await writeFile(text, documents.map((document) => `${JSON.stringify({ text: document })}\n`).join(''));
    await run(home, ['train', '--model', MODEL, '--text', text, '--tokens', '80k', '--context', '64', '--layers', '2', '--ratio', String(FEATURES / 192), '--held-out-vectors', '2048', '--block-vectors', '8192', '--set', 'tiny']);
    await run(home, ['analyse', '--model', 'demo', '--set', 'tiny', '--protocol', 'paper', '--text', text, '--documents', '1200']);

    const current = async () => (await readCurrentRuns(home, 'demo'))!.dictionaries[DICTIONARY]!;
    const analysed = await current();
    const { run: tokens } = await readManifest(join(home, analysed.analysedTokens!));
    const tokenizer = await openTokenizer(MODEL);
    const lengths = documents.slice(0, 1200).map((document) => tokenizer.encode(document).length);
    const long = lengths.filter((length) => length >= 64).length;
    assert.equal(tokens.metrics['documents'], 1200);
    assert.equal(tokens.metrics['tooShort'], 1200 - long);
    assert.equal(Number(tokens.metrics['fragments']) + Number(tokens.metrics['undecodable']), long);
    const features = await records<FeatureAnalysis>(join(home, analysed.analyse!, `features-${DICTIONARY}.ndjson`));
    assert.equal(features.length, FEATURES);
    for (const { exemplars } of features) {
      for (const { ids, start, maxActivation, activations } of exemplars) {
        assert.equal(ids.length, 64);
        assert.equal(start, 0, 'one fragment a document');
        assert.ok(maxActivation > 0 && maxActivation === Math.max(...activations));
        assert.ok(!tokenizer.decode(ids).includes('\ufffd'));
      }
    }

    await withOpenaiServer({ reply: hashJudge, alternatives: hashLevels }, async (server) => {
      const args = ['explain', '--model', 'demo', '--set', 'tiny', '--protocol', 'paper'];
      const outputs = [await run(home, [...args, '--explainer', 'pattern']), await run(home, [...args, '--llm', 'rules', '--features', '24'], { OPENAI_BASE_URL: server.url })];
      const explained = (await current()).explain;
      assert.deepEqual(Object.keys(explained), ['pattern-v1', 'token-act-pair-v1@rules']);
      for (const [i, dir] of Object.values(explained).entries()) {
        const { run: made } = await readManifest(join(home, dir));
        const outcomes = await records<ExplainOutcome>(join(home, dir, 'explanations.ndjson'));
        const asked = i === 0 ? 150 : 24;
        assert.equal(outcomes.length, asked, 'the first 150 features, unless told otherwise');
        let fragments = 0;
        let changed = 0;
        let skipped = 0;
        for (const [index, outcome] of outcomes.entries()) {
          const expected = byTheRules(features[index]!);
          if (expected === null) {
            assert.equal(outcome.kind, 'skipped');
            skipped++;
            continue;
          }
          assert.ok(outcome.kind === 'explained', `feature ${index}`);
          assert.deepEqual(outcome.explanation.fragments.map(nameOf), expected.explain.map(nameOf), 'five of the strongest are read');
          const score = outcome.explanation.scores.find(({ scorer }) => scorer === 'simulation-top-random')!;
          assert.equal(score.n, 64 * score.fragments.length, 'all tokens of every scored fragment');
          const ours = new Set(score.fragments.map(nameOf));
          const read = new Set(outcome.explanation.fragments.map(nameOf));
          assert.ok(score.fragments.every((ref: FragmentRef) => ref.length === 64 && !read.has(nameOf(ref))), 'nothing that was explained is scored');
          const missing = expected.scored.filter((fragment) => !ours.has(nameOf(fragment)));
          // Only what was explained, or stands among the scored already, gives way.
          const names = expected.scored.map(nameOf);
          for (const fragment of missing) assert.ok(read.has(nameOf(fragment)) || names.filter((name) => name === nameOf(fragment)).length > 1);
          // A fragment that the protocol scores twice is one of two.
          const repeated = expected.scored.length - new Set(names).size;
          fragments += expected.scored.length;
          changed += missing.length + repeated;
          if (missing.length + repeated === 0) assert.equal(score.n, 640);
        }
        const protocol = made.metrics['protocol'] as Record<string, unknown>;
        assert.equal(protocol['fragments'], fragments);
        assert.equal(protocol['fragmentsChanged'], changed);
        assert.equal(made.metrics['features'], asked);
        assert.equal(made.metrics['coverage'], (asked - skipped) / asked);
        assert.match(outputs[i]!, /of all/, 'coverage stands beside the mean');
        assert.match(outputs[i]!, changed === 0 ? /its own fragments throughout/ : new RegExp(`replaced ${changed} of its ${fragments} scored fragments`));
        if (i === 1) assert.equal((made.params['explainer'] as { temperature: number }).temperature, 1);
      }
      assert.ok((await readFile(join(home, 'current', 'demo.json'), 'utf8')).includes('analysedTokens'));
    });
  });
});
