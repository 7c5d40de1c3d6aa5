import type { HookPoint } from '../../../src/domain/hookPoint.ts';

/** A fixture of one library, as written again for one. */
export interface ExportCase {
  /** Folder in fixtures/formats/exported. */
  readonly name: string;
  readonly from: 'saelens' | 'sparsify';
  /** Below fixtures/formats. */
  readonly folder: string;
  readonly hooks?: { readonly point: HookPoint; readonly output: HookPoint | null };
  readonly format: 'saelens' | 'sparsify';
  /** What the library is told to load, below `name`. */
  readonly path: string;
  /** Name in the expected numbers. */
  readonly expected: string;
}

const mlp = { point: 'mlp_in.3', output: 'mlp_out.3' } as const;

export const EXPORT_CASES: readonly ExportCase[] = [
  ...(['standard', 'topk_rescaled', 'jumprelu', 'gated', 'norm_factor'] as const).map((name) => saelens(name)),
  ...(['transcoder', 'skip_transcoder', 'jumprelu_transcoder', 'jumprelu_skip_transcoder'] as const).map((name) => ({ ...saelens(name), hooks: mlp })),
  { name: 'sparsify-topk', from: 'saelens', folder: 'saelens/topk', format: 'sparsify', path: 'layers.3', expected: 'topk' },
  { name: 'sparsify-skip', from: 'sparsify', folder: 'sparsify/run/layers.10', format: 'sparsify', path: 'layers.10', expected: 'layers.10' },
  { name: 'sparsify-transcoder', from: 'sparsify', folder: 'sparsify/run/layers.1.mlp', format: 'sparsify', path: 'layers.1.mlp', expected: 'layers.1.mlp' },
];

function saelens(name: string): ExportCase {
  return { name: `saelens-${name}`, from: 'saelens', folder: `saelens/${name}`, format: 'saelens', path: '', expected: name };
}
