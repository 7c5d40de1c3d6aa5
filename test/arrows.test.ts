import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '..');

/** folder → folders it may import (itself is always allowed). Pure folders never import a package that does I/O. */
const PURE = ['math', 'domain', 'onnx', 'lm', 'dictionary', 'baselines', 'activations', 'interp', 'causal', 'corpus'];
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  math: [],
  domain: [],
  onnx: ['math'],
  lm: ['onnx', 'math', 'domain'],
  dictionary: ['onnx', 'math', 'domain'],
  baselines: ['onnx', 'math', 'domain', 'dictionary', 'activations'],
  activations: ['math', 'domain'],
  interp: ['math', 'domain'],
  causal: ['math', 'domain'],
  corpus: ['math', 'domain'],
  ports: ['domain'],
  training: ['domain', 'ports'],
  interventions: ['domain', 'math', 'causal', 'dictionary', 'ports'],
  pipelines: [...PURE, 'ports', 'interventions'],
  catalog: ['domain', 'ports', 'causal', 'math', 'dictionary', 'interventions'],
  adapters: [...PURE, 'ports', 'training'],
  graphql: ['catalog', 'domain', 'ports'],
};

/** Packages a folder may name; adapters and graphql may name any, the rest only these. */
const PACKAGES: Readonly<Record<string, readonly RegExp[]>> = {
  baselines: [/^ml-matrix$/],
  interventions: [/^node:timers\/promises$/],
  pipelines: [/^node:(path|crypto|buffer|timers\/promises|vm)$/],
  catalog: [/^node:(crypto|buffer|timers\/promises|path)$/],
};

function importsOf(source: string): string[] {
  const text = source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '');
  const found = new Set<string>();
  for (const pattern of [/\b(?:import|export)\b[^'";]*?\bfrom\s*['"]([^'"]+)['"]/g, /\bimport\s*\(?\s*['"]([^'"]+)['"]/g]) {
    for (const match of text.matchAll(pattern)) found.add(match[1]!);
  }
  return [...found];
}

/** src/<folder>[/<adapter>] of a path inside src. */
function placeOf(path: string): { folder: string; adapter: string | undefined } {
  const [folder, adapter] = relative(join(ROOT, 'src'), path).split('/');
  return { folder: folder!, adapter: folder === 'adapters' ? adapter : undefined };
}

/** The arrows that a file at `path` (relative to the root) with this text breaks. */
function brokenArrows(path: string, text: string): string[] {
  const file = join(ROOT, path);
  const from = placeOf(file);
  const allowed = ARROWS[from.folder] ?? [];
  const broken: string[] = [];
  for (const specifier of importsOf(text)) {
    const where = `${path} imports ${specifier}`;
    if (specifier.startsWith('.')) {
      const to = placeOf(join(dirname(file), specifier));
      if (to.folder === from.folder) {
        if (to.adapter !== from.adapter) broken.push(`${where}: adapters never import each other`);
      } else if (!allowed.includes(to.folder)) {
        broken.push(`${where}: ${from.folder} may import ${allowed.join(', ') || 'nothing'}`);
      }
    } else if (from.folder !== 'adapters' && from.folder !== 'graphql' && !(PACKAGES[from.folder] ?? []).some((name) => name.test(specifier))) {
      broken.push(`${where}: ${from.folder} may not name this package`);
    }
  }
  return broken;
}

test('the arrows of the architecture hold', () => {
  const files = globSync('src/*/**/*.ts', { cwd: ROOT, exclude: (name) => name.includes('generated') });
  assert.ok(files.length > 20, 'the walk must find the source files');
  assert.deepEqual(files.flatMap((path) => brokenArrows(path, readFileSync(join(ROOT, path), 'utf8'))), []);
});

test('a broken arrow is seen', () => {
  const cases: readonly (readonly [string, string, number])[] = [
    ['src/math/a.ts', "import type { X } from '../domain/run.ts';", 1],
    ['src/domain/a.ts', "import { readFile } from 'node:fs/promises';", 1],
    ['src/adapters/ort/a.ts', "import { b } from '../files/b.ts';\nimport ort from 'onnxruntime-node';", 1],
    ['src/pipelines/a.ts', "const x = await import('../adapters/ort/b.ts');", 1],
    ['src/graphql/a.ts', "export { b } from '../pipelines/b.ts';", 1],
    ['src/pipelines/a.ts', "import { b } from '../lm/b.ts'; // from '../adapters/x/y.ts'", 0],
  ];
  for (const [path, text, count] of cases) assert.equal(brokenArrows(path, text).length, count, text);
});
