// Generates what is not kept in the repository, offline: Prisma's client from prisma/schema.prisma, and the training kernels
// from their AssemblyScript. Run after `npm ci` and before anything that imports them; what is up to date is left alone.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const require = createRequire(import.meta.url);

interface Product {
  readonly label: string;
  readonly folder: string;
  /** A file that is there when it was generated. */
  readonly proof: string;
  readonly sources: () => Promise<readonly string[]>;
  /** The generator's package: its version is part of the hash, its program is run. */
  readonly generator: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

const KERNELS = 'src/adapters/ort/kernels';

const PRODUCTS: readonly Product[] = [
  {
    label: 'database client',
    folder: 'src/adapters/prisma/generated',
    proof: 'client.ts',
    sources: () => Promise.resolve(['prisma/schema.prisma']),
    generator: 'prisma',
    program: 'build/index.js',
    args: ['generate', '--schema', 'prisma/schema.prisma'],
    env: {
      // The command insists on finding the native schema engine, which `generate` never starts; any existing file will do.
      PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
      PRISMA_HIDE_UPDATE_MESSAGE: '1',
      CHECKPOINT_DISABLE: '1',
      NO_COLOR: '1',
    },
  },
  {
    label: 'training kernels',
    folder: `${KERNELS}/generated`,
    proof: 'kernels.wasm',
    sources: async () => (await readdir(join(ROOT, KERNELS, 'assembly'))).sort().map((name) => `${KERNELS}/assembly/${name}`),
    generator: 'assemblyscript',
    program: 'bin/asc.js',
    args: [
      `${KERNELS}/assembly/index.ts`, '--outFile', `${KERNELS}/generated/kernels.wasm.partial`, '-O3', '--noAssert', '--runtime', 'stub',
      // Its one memory is given to it, shared with onnxruntime and other threads.
      '--importMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536', '--enable', 'threads,simd,relaxed-simd',
    ],
    env: {},
  },
];

function packageOf(generator: string): { folder: string; version: string } {
  const file = require.resolve(`${generator}/package.json`);
  return { folder: dirname(file), version: (require(file) as { version: string }).version };
}

/** Hash of everything the product depends on: its sources, and the generator with its version and arguments. */
async function sourceHash({ sources, generator, args }: Product): Promise<string> {
  const hash = createHash('sha256').update(packageOf(generator).version).update(args.join(' '));
  for (const source of await sources()) hash.update(await readFile(join(ROOT, source)));
  return hash.digest('hex');
}

function run({ generator, program, args, env, label }: Product): Promise<void> {
  const cli = join(packageOf(generator).folder, program);
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [cli, ...args], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`${label}: the generator ended with ${code}:\n${output}`))));
  });
}

for (const product of PRODUCTS) {
  const folder = join(ROOT, product.folder);
  const stamp = join(folder, '.source-hash');
  const hash = await sourceHash(product);
  if (existsSync(join(folder, product.proof)) && (await readFile(stamp, 'utf8').catch(() => '')) === hash) {
    console.log(`${product.label}: up to date`);
    continue;
  }
  await mkdir(folder, { recursive: true });
  await run(product);
  const partial = join(folder, `${product.proof}.partial`);
  if (existsSync(partial)) await rename(partial, join(folder, product.proof));
  await writeFile(`${stamp}.tmp`, hash);
  await rename(`${stamp}.tmp`, stamp);
  console.log(`${product.label}: generated`);
}
