import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openTokenizer } from '../../src/adapters/tokenizers/openTokenizer.ts';
import { readConfig } from '../../src/config.ts';
import { CallerError } from '../../src/domain/errors.ts';
import type { ModelInfo } from '../../src/domain/model.ts';
import { chooseTargets, type TargetChoice } from '../../scripts/stages/circuitTargets.ts';
import { openSet, type SetMember } from '../../scripts/stages/dictionarySet.ts';
import { openWorkspace } from '../../scripts/workspace.ts';
import { runCli } from '../helpers/cli.ts';
import { tiedDictionary } from '../helpers/tiedDictionary.ts';
import { withFolder } from '../helpers/withFolder.ts';

const MODEL = join(import.meta.dirname, '..', '..', 'models', 'demo');
const INFO: ModelInfo = { name: 'demo', architecture: 'gpt_neox', layers: 4, dModel: 8, vocabSize: 4096, contextLength: 256, parameters: 1, weightsHash: 'w', tokenizerHash: 't' };

function member(name: string, hook: 'resid_post.0' | 'resid_post.1'): SetMember {
  const current = { train: 'runs/t', weights: 'runs/t/d', tokens: 'runs/k', trainRows: 1, analyse: 'runs/a', explain: {} };
  return { name, current, weights: tiedDictionary(name, hook, 8, 4, { seed: 1, bias: 0 }), quality: null };
}

test('targets and tokens are resolved; what cannot be is said by name', () =>
  withFolder(async (home) => {
    const workspace = openWorkspace(readConfig({ CATALOG_HOME: home }));
    const tokenizer = await openTokenizer(MODEL);
    const members = [member('0-s', 'resid_post.0'), member('1-s', 'resid_post.1')];
    const choose = (given: Partial<TargetChoice>) => chooseTargets(workspace, INFO, tokenizer, members, { targets: [], tokens: [], best: 0, promotes: [], ...given });
    const chosen = await choose({ targets: ['demo/1-s/3', 'demo/1-s/3'], tokens: [')', ')'] });
    assert.deepEqual(chosen, { targets: [{ dictionary: '1-s', index: 3 }], outputs: [{ id: tokenizer.encode(')')[0], token: ')' }] });
    const cases: readonly (readonly [Partial<TargetChoice>, string, RegExp])[] = [
      [{ tokens: [')) hello'] }, 'BAD_INPUT', /is \d+ tokens of this model \(".*", ".*"\); expected exactly one/],
      [{ tokens: [''] }, 'BAD_INPUT', /is 0 tokens/],
      [{ promotes: [') )'] }, 'BAD_INPUT', /expected exactly one/],
      [{ targets: ['demo/0-s/1'] }, 'BAD_INPUT', /nothing can feed it/],
      [{ targets: ['demo/1-s/4'] }, 'NOT_FOUND', /0 to 3/],
      [{ targets: ['demo/7-s/1'] }, 'NOT_FOUND', /there are 0-s, 1-s/],
      [{ targets: ['other/1-s/1'] }, 'BAD_INPUT', /of model demo/],
      [{}, 'BAD_INPUT', /no circuit targets/],
    ];
    for (const [given, code, message] of cases) {
      await assert.rejects(choose(given), (error) => error instanceof CallerError && error.code === code && message.test(error.message), JSON.stringify(given));
    }
    await assert.rejects(openSet(workspace, 'demo', 'absent'), (error) => error instanceof CallerError && error.code === 'NOT_FOUND' && /no dictionaries of set absent/.test(error.message));
  }));

test('the best features are those of the last dictionary that was explained, among sets that end at one place', () =>
  withFolder(async (home) => {
    const workspace = openWorkspace(readConfig({ CATALOG_HOME: home }));
    const tokenizer = await openTokenizer(MODEL);
    await mkdir(join(home, 'runs', 'e'), { recursive: true });
    const explanation = (index: number, value: number): unknown => ({ kind: 'explained', explanation: { index, description: '', scores: [{ scorer: 'simulation-top-random', value }] } });
    await writeFile(join(home, 'runs', 'e', 'explanations.ndjson'), [explanation(0, 0.2), explanation(2, 0.7), explanation(1, 0.5)].map((line) => `${JSON.stringify(line)}\n`).join(''));
    const explained = member('1-s', 'resid_post.1');
    const members = [member('0-s', 'resid_post.0'), { ...explained, current: { ...explained.current, explain: { any: 'runs/e' } } }, member('1-pca', 'resid_post.1')];
    const { targets } = await chooseTargets(workspace, INFO, tokenizer, members, { targets: [], best: 2, promotes: [] });
    assert.deepEqual(targets, [{ dictionary: '1-s', index: 2 }, { dictionary: '1-s', index: 1 }]);
  }));

test('the command refuses what is no list of counts', () =>
  withFolder(async (home) => {
    await assert.rejects(runCli(home, ['circuits', '--model', MODEL, '--follow', '3,x']), /whole numbers parted by commas/);
  }));
