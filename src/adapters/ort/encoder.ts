import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { SparseCodes } from '../../domain/sparseCodes.ts';
import { GraphBuilder } from '../../onnx/graphBuilder.ts';
import { opsOf } from '../../onnx/ops.ts';
import type { Device } from './device.ts';
import type { SharedEncoder } from './messages.ts';
import { sessionOptions } from './sessions.ts';
import { CodeCollector } from './sparsify.ts';

export interface EncoderSession {
  readonly session: InferenceSession;
  readonly weightBytes: number;
}

/** Dense activations held at once, in numbers: 64 MB. */
const DENSE_LIMIT = 16 << 20;

/** relu((x / inputScale)·encoderᵀ + bias) as a session; its weights are read from shared memory. Thresholds and k come after. */
export async function openEncoder(encoder: SharedEncoder, device: Device, threads: number): Promise<EncoderSession> {
  const { dIn, nFeatures, inputScale } = encoder;
  const g = new GraphBuilder('encode');
  const { div, gemm, relu } = opsOf(g);
  const location = 'encoder';
  const matrixBytes = 4 * nFeatures * dIn;
  const x = g.input('x', 'float32', ['N', dIn]);
  const matrix = g.externalInitializer('encoder', 'float32', [nFeatures, dIn], { location, offset: 0, byteLength: matrixBytes });
  const bias = g.externalInitializer('bias', 'float32', [nFeatures], { location, offset: matrixBytes, byteLength: 4 * nFeatures });
  const scaled = inputScale === 1 ? x : div(x, inputScale);
  g.output(relu(gemm(scaled, matrix, { transB: true, c: bias })), 'c', 'float32', ['N', nFeatures]);
  const data = new Uint8Array(encoder.data);
  const session = await InferenceSession.create(g.encode(), sessionOptions(device, threads, [{ path: location, data }]));
  return { session, weightBytes: encoder.data.byteLength };
}

/** Codes of the real positions of activations x [B, T, D]; padded positions hold no entries. */
export async function encode(
  { session }: EncoderSession,
  encoder: SharedEncoder,
  x: Float32Array,
  lengths: Int32Array,
  cols: number,
): Promise<SparseCodes> {
  const { dIn, nFeatures } = encoder;
  const real: number[] = [];
  for (const [b, length] of lengths.entries()) for (let t = 0; t < length; t++) real.push(b * cols + t);
  const collector = new CodeCollector(lengths.length * cols, encoder);
  const step = Math.max(1, Math.floor(DENSE_LIMIT / nFeatures));
  for (let first = 0; first < real.length; first += step) {
    const rows = real.slice(first, first + step);
    const contiguous = rows[rows.length - 1] - rows[0] === rows.length - 1;
    const input = contiguous ? x.subarray(rows[0] * dIn, (rows[0] + rows.length) * dIn) : gatherRows(x, rows, dIn);
    const { c } = await session.run({ x: new Tensor('float32', input, [rows.length, dIn]) });
    const dense = c.data as Float32Array;
    for (const [i, row] of rows.entries()) collector.add(row, dense, i * nFeatures);
  }
  return collector.finish();
}

function gatherRows(x: Float32Array, rows: readonly number[], width: number): Float32Array {
  const out = new Float32Array(rows.length * width);
  for (const [i, row] of rows.entries()) out.set(x.subarray(row * width, (row + 1) * width), i * width);
  return out;
}
