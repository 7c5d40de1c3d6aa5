import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { TokenBatch } from '../../src/domain/model.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const FIXTURES = `${ROOT}test/fixtures/lm`;

/** Outputs of Hugging Face transformers for one batch; see scripts/oracle/lm_fixtures.py. */
export interface Expected {
  readonly batch: TokenBatch;
  readonly layers: number;
  readonly dModel: number;
  readonly vocab: number;
  /** [L+1, B, T, D] */
  readonly stream: Float32Array;
  /** [L, B, T, D] */
  readonly attnOut: Float32Array;
  readonly mlpIn: Float32Array;
  readonly mlpOut: Float32Array;
  /** [B, T, V] */
  readonly logits: Float32Array;
}

export interface LmFixture {
  readonly name: string;
  /** Folder with config and weights, or undefined with the reason it is not here. */
  readonly folder: string | undefined;
  readonly missing: string;
  /** sha-256 of the weights the outputs were made with, for folders kept elsewhere. */
  readonly weightsHash: string | undefined;
  readonly plain: Expected;
  readonly padded: Expected;
}

export function lmFixtures(): LmFixture[] {
  return readdirSync(FIXTURES, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name).sort().map(readFixture);
}

export function readFixture(name: string): LmFixture {
  const { tensors, metadata } = readSafetensors(`${FIXTURES}/${name}/expected.safetensors`);
  const candidates = [`${FIXTURES}/${name}`, `${ROOT}models/${name}`, `${ROOT}../shared/models/${name}`];
  const folder = candidates.find((path) => existsSync(`${path}/model.safetensors`));
  return {
    name,
    folder,
    missing: `no model folder ${name} here`,
    weightsHash: /sha256 (\w+)/.exec(metadata['producer'] ?? '')?.[1],
    plain: expected(tensors, 'plain'),
    padded: expected(tensors, 'padded'),
  };
}

function expected(tensors: Map<string, { dims: number[]; data: Float32Array | Int32Array }>, kind: string): Expected {
  const get = (name: string) => tensors.get(`${kind}.${name}`)!;
  const floats = (name: string) => get(name).data as Float32Array;
  const [boundaries, rows, cols, dModel] = get('stream').dims as [number, number, number, number];
  return {
    batch: { rows, cols, ids: get('ids').data as Int32Array, lengths: get('lengths').data as Int32Array },
    layers: boundaries - 1,
    dModel,
    vocab: get('logits').dims[2],
    stream: floats('stream'),
    attnOut: floats('attn_out'),
    mlpIn: floats('mlp_in'),
    mlpOut: floats('mlp_out'),
    logits: floats('logits'),
  };
}

/** A reader of its own, so that the one under test does not judge itself. F32 and I32 only. */
export function readSafetensors(path: string) {
  const file = readFileSync(path);
  const length = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, 8 + length)) as Record<string, { dtype: string; shape: number[]; data_offsets: number[] }>;
  const { __metadata__: metadata, ...entries } = header;
  const tensors = new Map<string, { dims: number[]; data: Float32Array | Int32Array }>();
  for (const [name, { dtype, shape, data_offsets: [start, end] }] of Object.entries(entries)) {
    const bytes = Uint8Array.from(file.subarray(8 + length + start, 8 + length + end)).buffer;
    tensors.set(name, { dims: shape, data: dtype === 'I32' ? new Int32Array(bytes) : new Float32Array(bytes) });
  }
  return { tensors, metadata: (metadata ?? {}) as unknown as Record<string, string> };
}

/** ‖a - b‖ / ‖b‖ over the real positions of [B, T, width] blocks starting at `at` in b. */
export function relativeError(a: Float32Array, b: Float32Array, at: number, width: number, { rows, cols, lengths }: TokenBatch): number {
  let difference = 0;
  let norm = 0;
  for (let r = 0; r < rows; r++) {
    for (let i = r * cols * width; i < (r * cols + lengths[r]) * width; i++) {
      difference += (a[i] - b[at + i]) ** 2;
      norm += b[at + i] ** 2;
    }
  }
  return Math.sqrt(difference / norm);
}

/** max |a - b| over real positions. */
export function absoluteError(a: Float32Array, b: Float32Array, width: number, { rows, cols, lengths }: TokenBatch): number {
  let worst = 0;
  for (let r = 0; r < rows; r++) {
    for (let i = r * cols * width; i < (r * cols + lengths[r]) * width; i++) {
      const difference = Math.abs(a[i] - b[i]);
      // A NaN must not pass as 0.
      worst = difference <= worst ? worst : difference;
    }
  }
  return worst;
}
