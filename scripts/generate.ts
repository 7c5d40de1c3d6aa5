// Generates Prisma's client from prisma/schema.prisma, offline. Run after `npm ci` and before anything that imports it.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const OUTPUT = join(ROOT, 'src/adapters/prisma/generated');
const STAMP = join(OUTPUT, '.source-hash');
const require = createRequire(import.meta.url);

/** Hash of everything the client depends on: the schema and the generator's version. */
async function sourceHash(): Promise<string> {
  const schema = await readFile(join(ROOT, 'prisma/schema.prisma'));
  const { version } = require('prisma/package.json') as { version: string };
  return createHash('sha256').update(schema).update(version).digest('hex');
}

async function generated(): Promise<string | null> {
  if (!existsSync(join(OUTPUT, 'client.ts'))) return null;
  return readFile(STAMP, 'utf8').catch(() => null);
}

function run(): Promise<void> {
  const cli = join(dirname(require.resolve('prisma/package.json')), 'build/index.js');
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [cli, 'generate', '--schema', 'prisma/schema.prisma'], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        // The command insists on finding the native schema engine, which `generate` never starts; any existing file will do.
        PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
        PRISMA_HIDE_UPDATE_MESSAGE: '1',
        CHECKPOINT_DISABLE: '1',
        NO_COLOR: '1',
      },
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`prisma generate ended with ${code}:\n${output}`))));
  });
}

const hash = await sourceHash();
if ((await generated()) === hash) {
  console.log('database client: up to date');
} else {
  await run();
  await writeFile(`${STAMP}.tmp`, hash);
  await rename(`${STAMP}.tmp`, STAMP);
  console.log('database client: generated');
}
