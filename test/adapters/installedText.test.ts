import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { CODE_PATTERNS, PROSE_PACKAGES } from '../../src/adapters/files/installedPackages.ts';
import { installedText } from '../../src/adapters/files/installedText.ts';
import { CallerError } from '../../src/domain/errors.ts';

const root = join(import.meta.dirname, '..', '..');
const nodeModules = join(root, 'node_modules');

interface LockEntry {
  readonly version?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly devOptional?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
}

async function lockfile(): Promise<Record<string, LockEntry>> {
  const parsed: { packages: Record<string, LockEntry> } = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8'));
  return parsed.packages;
}

test('every listed package is pinned, on every platform, in a production installation, and permissively licensed', async () => {
  const lock = await lockfile();
  for (const name of new Set([...Object.keys(CODE_PATTERNS), ...PROSE_PACKAGES])) {
    const entry = lock[`node_modules/${name}`];
    assert.ok(entry, `${name} is not in package-lock.json`);
    assert.ok(!entry.dev && !entry.devOptional && !entry.optional, `${name} is left out of some installations`);
    assert.ok(!entry.os && !entry.cpu, `${name} is for some platforms only`);
    if (entry.license !== undefined) assert.match(entry.license, /MIT|ISC|Apache-2\.0|BSD|Unlicense|0BSD|CC0|BlueOak|Python-2\.0/, name);
  }
});

test('the same documents in the same order for a seed, the same set for another; versions are those of the lockfile', async () => {
  const lock = await lockfile();
  const first = await installedText({ nodeModules, seed: 1 });
  assert.deepEqual(await installedText({ nodeModules, seed: 1 }), first);
  const other = await installedText({ nodeModules, seed: 2 });
  const paths = (documents: readonly { path: string }[]): string[] => documents.map((document) => document.path);
  assert.notDeepEqual(paths(other), paths(first));
  assert.deepEqual(paths(other).sort(), paths(first).sort());
  assert.equal(new Set(paths(first)).size, first.length);
  for (const { path } of first) {
    const [, name, version] = /^((?:@[^/]+\/)?[^/@]+)@([^/]+)\//.exec(path) ?? [];
    assert.equal(lock[`node_modules/${name}`]?.version, version, path);
  }
});

test('the text is plenty, readable, given once, and free of bundles', async () => {
  const documents = await installedText({ nodeModules, seed: 1 });
  const characters = documents.reduce((n, document) => n + document.text.length, 0);
  assert.ok(documents.length > 2500 && characters > 15e6, `${documents.length} files, ${characters} characters`);
  assert.equal(new Set(documents.map((document) => document.text)).size, documents.length);
  for (const { path, text } of documents) {
    assert.match(path, /\.(md|markdown|ts|mts|js)$/i);
    assert.doesNotMatch(path, /\.min\.|\/node_modules\/|\/tests?\//);
    assert.ok(!text.includes('\r\n'), path);
    if (!/\.(md|markdown)$/i.test(path)) assert.ok(Math.max(...text.split('\n').map((line) => line.length)) <= 800, path);
  }
});

test('a missing installation is the caller\'s mistake and says what to run', async () => {
  const empty = await mkdtemp(join(tmpdir(), 'installed-'));
  try {
    await assert.rejects(installedText({ nodeModules: empty, seed: 1 }), (error: unknown) => {
      assert.ok(error instanceof CallerError);
      assert.equal(error.code, 'NOT_FOUND');
      assert.match(error.message, /npm ci/);
      return true;
    });
  } finally {
    await rm(empty, { recursive: true, force: true });
  }
});
