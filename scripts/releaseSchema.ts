// At a release: makes schema.graphql the released contract, against which later changes are held. Says what changed since the last
// release, and refuses when something goes that was not marked @deprecated there (--break releases it all the same: a new major
// version). `--check` only says.
import { readFile, rename, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { buildSchema } from 'graphql';
import { changesBetween, type ContractChange } from './contractChanges.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const RELEASED = `${ROOT}test/fixtures/schema.released.graphql`;

const text = await readFile(`${ROOT}schema.graphql`, 'utf8');
const { breaking, announced, dangerous } = changesBetween(buildSchema(await readFile(RELEASED, 'utf8')), buildSchema(text));
say('breaking', breaking);
say('removed as announced', announced);
say('additions that a careless client may stumble over', dangerous);
const options = process.argv.slice(2);
if (breaking.length > 0 && !options.includes('--break')) {
  console.error('not released: mark what goes @deprecated, with its replacement, and release that first');
  process.exitCode = 1;
} else if (!options.includes('--check')) {
  await writeFile(`${RELEASED}.partial`, text);
  await rename(`${RELEASED}.partial`, RELEASED);
  console.log('schema.graphql is the released contract');
}

function say(what: string, changes: readonly ContractChange[]): void {
  if (changes.length > 0) console.log(`${what}:`);
  for (const { type, description } of changes) console.log(`  ${type}: ${description}`);
}
