import { join } from 'node:path';
import type { DictionaryWeights } from '../../domain/dictionary.ts';
import { CallerError } from '../../domain/errors.ts';
import { residualBoundary } from '../../domain/hookPoint.ts';
import type { ForeignTensor } from './foreign.ts';
import { writeForeignFile } from './foreignFiles.ts';
import { toModulePath } from './hookNames.ts';
import { biasWithCentre, rowNorms, scaled } from './linearFolds.ts';
import type { ExportedModel } from './saelensExport.ts';
import { writeSafetensors } from './safetensorsWrite.ts';

/**
 * Writes {folder}/{hook point}/cfg.json and sae.safetensors, which sparsify's SparseCoder.load_from_disk loads with the same codes
 * and reconstructions on raw activations, and {folder}/config.json, which names the model. Returns the hook point's folder name.
 * Scales go into the weights; b_dec, which sparsify subtracts from the input of all but transcoders, is added to the bias.
 * Throws UNSUPPORTED for all but top-k, and for transcoders that do not go from a module's input to its output.
 */
export async function writeSparsify(folder: string, weights: DictionaryWeights, model: ExportedModel): Promise<string> {
  const { config, encoder, encoderBias, decoder, decoderBias, threshold, skip } = weights;
  const { dIn: D, dOut, nFeatures: F, k, inputScale, outputScale, outputHookPoint, name } = config;
  if (k === null || threshold !== null) throw new CallerError('UNSUPPORTED', `${name} is ${threshold === null ? 'not' : 'with thresholds, not only'} top-k, and sparsify has nothing else; export it as saelens`);
  if (dOut !== D) throw new CallerError('UNSUPPORTED', `${name} reads ${D} numbers and writes ${dOut}; sparsify has one width only`);
  const transcode = outputHookPoint !== null;
  const module = transcode ? moduleOf(weights, model.architecture) : toModulePath(config.hookPoint, model.architecture);
  const W = scaled(encoder, 1 / inputScale);
  const rows = scaled(decoder, outputScale);
  const centre = scaled(decoderBias, outputScale);
  const tensors = new Map<string, ForeignTensor>([
    ['W_dec', { shape: [F, D], data: rows }],
    ['b_dec', { shape: [D], data: centre }],
    ['encoder.bias', { shape: [F], data: transcode ? encoderBias : biasWithCentre(encoderBias, W, scaled(centre, -1)) }],
    ['encoder.weight', { shape: [F, D], data: W }],
  ]);
  if (skip !== null) tensors.set('W_skip', { shape: [D, D], data: scaled(skip, outputScale / inputScale) });
  const cfg = {
    activation: 'topk', expansion_factor: Math.max(1, Math.round(F / D)), normalize_decoder: rowNorms(rows, D).every((norm) => Math.abs(norm - 1) < 1e-3), num_latents: F, k,
    multi_topk: false, skip_connection: skip !== null, transcode, d_in: D,
  };
  await writeSafetensors(join(folder, module, 'sae.safetensors'), tensors);
  await writeForeignFile(join(folder, module, 'cfg.json'), [Buffer.from(`${JSON.stringify(cfg, null, 2)}\n`)]);
  await writeForeignFile(join(folder, 'config.json'), [Buffer.from(`${JSON.stringify({ model: model.name }, null, 2)}\n`)]);
  return module;
}

/** The module whose input and output a transcoder stands between: a layer, or its MLP. */
function moduleOf({ config: { name, hookPoint, outputHookPoint } }: DictionaryWeights, architecture: string): string {
  const [from, to] = [hookPoint, outputHookPoint!];
  const mlp = /^mlp_in\.(\d+)$/.exec(from)?.[1];
  if (mlp !== undefined && to === `mlp_out.${mlp}`) return toModulePath(to, architecture);
  const [before, after] = [residualBoundary(from), residualBoundary(to)];
  if (before !== undefined && after === before + 1) return toModulePath(`resid_post.${before}`, architecture);
  throw new CallerError('UNSUPPORTED', `${name} goes from ${from} to ${to}; sparsify's transcoders go from a module's input to its output (mlp_in.L to mlp_out.L, or a whole layer)`);
}
