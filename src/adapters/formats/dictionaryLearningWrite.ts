import { join } from 'node:path';
import type { DictionaryWeights } from '../../domain/dictionary.ts';
import { CallerError } from '../../domain/errors.ts';
import { parseHookPoint } from '../../domain/hookPoint.ts';
import { writeForeignFile } from './foreignFiles.ts';
import { scaledRows, transposed } from './linearFolds.ts';
import { writeTorchState, type WrittenTensor } from './torchWrite.ts';

/**
 * Writes ae.pt and config.json, such that dictionary_learning's load_dictionary gives the same codes and reconstructions on raw
 * activations. The class is the plainest that computes them: AutoEncoderTopK where k is set, JumpReluAutoEncoder where there are
 * thresholds, else AutoEncoderNew (AutoEncoder would rescale codes on loading). Input and output scales go into the weights.
 *
 * @throws CallerError UNSUPPORTED for what the library has no class for: transcoders, linear paths, k together with thresholds.
 */
export async function writeDictionaryLearning(folder: string, weights: DictionaryWeights): Promise<void> {
  const { config } = weights;
  const { dIn: D, nFeatures: F, k } = config;
  refuseOthers(weights);
  const { dictClass, tensors } = stateOf(weights);
  const { kind, layer } = parseHookPoint(config.hookPoint);
  const trainer = {
    dict_class: dictClass,
    activation_dim: D,
    dict_size: F,
    ...(k === null ? {} : { k }),
    layer,
    lm_name: config.model,
    submodule_name: kind === 'embed' ? 'embed' : `${kind}_layer_${layer}`,
  };
  const text = JSON.stringify({ trainer, buffer: { d_submodule: D, io: kind === 'mlp_in' ? 'in' : 'out' } }, null, 4);
  await writeTorchState(join(folder, 'ae.pt'), tensors);
  await writeForeignFile(join(folder, 'config.json'), [Buffer.from(`${text}\n`)]);
}

function stateOf({ config, encoder, encoderBias, threshold, decoder, decoderBias }: DictionaryWeights): { dictClass: string; tensors: Map<string, WrittenTensor> } {
  const { dIn: D, nFeatures: F, k, inputScale, outputScale } = config;
  const times = (data: Float32Array, factor: number): Float32Array => (factor === 1 ? data : scaledRows(data, new Float64Array(data.length).fill(factor)));
  const W = times(encoder, 1 / inputScale);
  const f = times(decoder, outputScale);
  const bias: WrittenTensor = { shape: [D], data: times(decoderBias, outputScale) };
  const linear: [string, WrittenTensor][] = [['encoder.weight', { shape: [F, D], data: W }], ['decoder.weight', { shape: [D, F], data: transposed(f, F, D) }]];
  if (k !== null) {
    // The class subtracts its output bias b from x: relu(W(x − b) + e) is ours for e = encoderBias + W·b.
    const e = encoderBias.map((value, j) => {
      let dot = 0;
      for (let d = 0; d < D; d++) dot += W[j * D + d]! * bias.data[d]!;
      return value + dot;
    });
    const tensors = new Map([...linear, ['encoder.bias', { shape: [F], data: e }], ['b_dec', bias], ['k', { int32: k }], ['threshold', { shape: [], data: Float32Array.of(-1) }]] as const);
    return { dictClass: 'AutoEncoderTopK', tensors };
  }
  if (threshold !== null) {
    const tensors = new Map<string, WrittenTensor>([
      ['W_enc', { shape: [D, F], data: transposed(W, F, D) }], ['b_enc', { shape: [F], data: encoderBias }],
      ['W_dec', { shape: [F, D], data: f }], ['b_dec', bias], ['threshold', { shape: [F], data: threshold }],
    ]);
    return { dictClass: 'JumpReluAutoEncoder', tensors };
  }
  return { dictClass: 'AutoEncoderNew', tensors: new Map<string, WrittenTensor>([...linear, ['encoder.bias', { shape: [F], data: encoderBias }], ['decoder.bias', bias]]) };
}

function refuseOthers({ config, threshold, skip }: DictionaryWeights): void {
  const what = config.outputHookPoint !== null || config.dIn !== config.dOut ? 'a transcoder'
    : skip !== null ? 'a linear path beside the features'
    : config.k !== null && threshold !== null ? 'thresholds together with k'
    : null;
  if (what !== null) throw new CallerError('UNSUPPORTED', `${config.name} has ${what}, for which dictionary_learning has no class; export it in another format`);
}
