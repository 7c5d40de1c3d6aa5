import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { withFolder } from '../helpers/withFolder.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

test('the client builds into modules with their types, which run as they are', async () => {
  await withFolder(async (folder) => {
    await promisify(execFile)(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', join(ROOT, 'clients/typescript/tsconfig.json'), '--outDir', folder]);
    const names = await readdir(folder);
    assert.ok(names.includes('index.js') && names.includes('index.d.ts'));
    const built = (await import(pathToFileURL(join(folder, 'index.js')).href)) as { readonly createClient: unknown; readonly FeatureDocument: { toString(): string } };
    assert.equal(typeof built.createClient, 'function');
    assert.match(built.FeatureDocument.toString(), /query Feature\(/);
  });
});
