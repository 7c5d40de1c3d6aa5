/**
 * Writes test/fixtures/formats/exported: the imported fixtures, exported again by our own exporters. foreign_safetensors.py runs
 * this and then loads every folder with the library it is for. index.json says where each one's expected numbers are.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ForeignFormat } from '../../src/adapters/formats/foreign.ts';
import { saelens } from '../../src/adapters/formats/saelens.ts';
import { sparsify } from '../../src/adapters/formats/sparsify.ts';
import { EXPORTERS } from '../stages/export.ts';
import { EXPORT_CASES } from '../../test/adapters/formats/exportCases.ts';
import { FORMATS, weightsOf } from '../../test/adapters/formats/parity.ts';

const OUT = join(FORMATS, 'exported');
const READERS: Readonly<Record<string, ForeignFormat>> = { saelens, sparsify };

await rm(OUT, { recursive: true, force: true });
await mkdir(OUT, { recursive: true });
const index: Record<string, unknown> = {};
for (const { name, from, folder, hooks, format, path, expected } of EXPORT_CASES) {
  const [found] = await READERS[from]!.read(join(FORMATS, folder), folder.endsWith('norm_factor') ? { normFactor: 1.7 } : {});
  await EXPORTERS[format]!(join(OUT, name), weightsOf({ ...found!, hook: { ...found!.hook, ...hooks } }), { architecture: 'gpt_neox', name: 'pythia-70m' });
  index[name] = { format, path, expected: `${from}/expected.safetensors`, case: expected };
}
await writeFile(join(OUT, 'index.json'), `${JSON.stringify(index, null, 2)}\n`);
