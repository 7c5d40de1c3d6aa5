import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { startCli } from '../helpers/cli.ts';
import { seedCatalog } from '../helpers/seedCatalog.ts';
import { withCatalog, type TestCatalog } from '../helpers/withCatalog.ts';
import { withFolder } from '../helpers/withFolder.ts';

async function cli({ url }: TestCatalog, args: readonly string[]): Promise<string> {
  const run = startCli('', args, { DATABASE_URL: url });
  assert.equal(await run.ended, 0, run.output());
  return run.output();
}

test('export-catalog writes what is asked for, import-catalog puts it into another database', () =>
  withFolder(async (folder) => {
    await withCatalog(async (catalog) => {
      await seedCatalog(catalog.writer);
      const said = await cli(catalog, ['export-catalog', '--model', 'toy', '--layers', '1', '--from', '10', '--to', '20', '--no-explained', '--out', folder]);
      assert.match(said, /toy\/1-tied-r2: 2 features, \d+ files written, 0 unchanged/, '14 and 19 are skipped');
      assert.doesNotMatch(said, /0-tied-r2/);
    });
    await writeFile(join(folder, 'v1/toy/README.md'), 'not a dictionary');
    await withCatalog(async (catalog) => {
      const said = await cli(catalog, ['import-catalog', folder]);
      assert.match(said, /toy\/1-tied-r2: 2 features, 24 exemplars, 0 explanations\n[^]*: 0 edges, 4 edges to tokens, 0 rows of nearest features, 0 patches\n/);
      assert.match(said, /4 edges and rows of nearest features left out: the catalog lacks 0-tied-r2/);
    });
  }));
