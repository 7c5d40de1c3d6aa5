import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { runCli } from '../helpers/cli.ts';
import { withFolder } from '../helpers/withFolder.ts';

const RESULTS = fileURLToPath(new URL('../fixtures/interp/bills_results.jsonl', import.meta.url));

test('rescore agrees with published scores, exits 1 on a difference and 2 on a file of another kind', () =>
  withFolder(async (folder) => {
    assert.match(await runCli(folder, ['rescore', RESULTS]), /108 of 108 scores could be compared; greatest difference \S+: all agree within 0\.000001/);
    const off = join(folder, 'off.jsonl');
    // The pooled correlation of the first explanation, changed in its fifth digit.
    await writeFile(off, (await readFile(RESULTS, 'utf8')).replace('"ev_correlation_score":0.92865', '"ev_correlation_score":0.92866'));
    const said = await runCli(folder, ['rescore', RESULTS, off], 1);
    assert.match(said, /off\.jsonl line 1 3\/7 #0 +correlation +120 +0\.92866\d +0\.92865\d +1\.0e-5 !/);
    assert.match(said, /216 of 216 scores could be compared; greatest difference 1\.0e-5: 1 differ by more/);
    const other = join(folder, 'other.json');
    await writeFile(other, '{"most_positive_activation_records": []}');
    assert.match(await runCli(folder, ['rescore', other], 2), /this is a NeuronRecord, which holds activations alone, found .*\[BAD_INPUT\]/);
    assert.match(await runCli(folder, ['rescore', join(folder, 'none.json')], 2), /cannot read .*none\.json.*\[NOT_FOUND\]/);
  }));
