import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '..');

/** folder → folders it may import (itself is always allowed). Pure folders never import a package that does I/O. */
const PURE = ['math', 'domain', 'onnx', 'lm', 'dictionary', 'activations', 'interp', 'causal', 'corpus'];
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  math: [],
  domain: [],
  onnx: ['math'],
  lm: ['onnx', 'math', 'domain'],
  dictionary: ['onnx', 'math', 'domain'],
  activations: ['math', 'domain'],
  interp: ['math', 'domain'],
  causal: ['math', 'domain'],
  corpus: ['math', 'domain'],
  ports: ['domain'],
  pipelines: [...PURE, 'ports'],
  catalog: ['domain', 'ports', 'causal', 'math', 'dictionary'],
  adapters: [...PURE, 'ports'],
  graphql: ['catalog', 'domain', 'ports'],
};

/** Packages a folder may name; adapters and graphql may name any, the rest only these. */
const PACKAGES: Readonly<Record<string, readonly RegExp[]>> = {
  pipelines: [/^node:(path|crypto|buffer|timers\/promises)$/],
  catalog: [/^node:(crypto|buffer|timers\/promises|path)$/],
};

function importsOf(file: string): string[] {
  const text = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '');
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

test('the arrows of the architecture hold', () => {
  const files = globSync('src/*/**/*.ts', { cwd: ROOT, exclude: (name) => name.includes('generated') }).map((name) => join(ROOT, name));
  assert.ok(files.length > 10, 'the walk must find the source files');
  const broken: string[] = [];
  for (const file of files) {
    const from = placeOf(file);
    for (const specifier of importsOf(file)) {
      const where = `${relative(ROOT, file)} imports ${specifier}`;
      if (specifier.startsWith('.')) {
        const to = placeOf(join(dirname(file), specifier));
        if (to.folder.startsWith('..')) {
          broken.push(`${where}: leaves src/`);
        } else if (to.folder === from.folder) {
          if (to.adapter !== from.adapter) broken.push(`${where}: adapters never import each other`);
        } else if (!(ARROWS[from.folder] ?? []).includes(to.folder)) {
          broken.push(`${where}: ${from.folder} may import ${(ARROWS[from.folder] ?? []).join(', ') || 'nothing'}`);
        }
      } else if (from.folder !== 'adapters' && from.folder !== 'graphql' && !(PACKAGES[from.folder] ?? []).some((allowed) => allowed.test(specifier))) {
        broken.push(`${where}: ${from.folder} may not name this package`);
      }
    }
  }
  assert.deepEqual(broken, []);
});

test('the walk sees a broken arrow', () => {
  // The check itself must be able to fail: parse a made-up file.
  assert.equal(ARROWS['math']!.includes('domain'), false);
  assert.deepEqual(importsOf(join(ROOT, 'test/arrows.test.ts')).includes('node:fs'), true);
});
