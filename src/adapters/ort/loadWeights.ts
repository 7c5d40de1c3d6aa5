import { CallerError } from '../../domain/errors.ts';
import type { LanguageModel, SourceTensor } from '../../lm/architecture.ts';
import { layOutWeights, weightView } from '../../lm/weightLayout.ts';
import type { WeightLayout } from '../../lm/weightLayout.ts';
import type { TensorLocation } from '../../lm/safetensors.ts';
import { readTensor } from './weightFiles.ts';
import type { WeightFiles } from './weightFiles.ts';

export interface LoadedWeights {
  readonly layout: WeightLayout;
  /** All weights as float32; shared with the workers, never written again. */
  readonly buffer: SharedArrayBuffer;
  /** Numbers in the checkpoint's tensors the model uses; a tied matrix counts once. */
  readonly parameters: number;
}

/**
 * Reads what the model needs. All names and shapes are checked before the first byte is read. Throws MISSING_TENSOR,
 * WRONG_SHAPE, BAD_MODEL_FILE.
 */
export async function loadWeights(model: LanguageModel, files: WeightFiles): Promise<LoadedWeights> {
  const located = model.weights.map((entry) => entry.sources.map((source) => locate(model, files, source)));
  const layout = layOutWeights(model);
  const buffer = new SharedArrayBuffer(layout.byteLength);
  let parameters = 0;
  for (const [index, entry] of model.weights.entries()) {
    const out = weightView(layout, buffer, entry.name);
    const locations = located[index];
    parameters += out.length;
    if (entry.arrange === undefined) {
      let at = 0;
      for (const location of locations) {
        const length = countOf(location);
        await readTensor(location, out.subarray(at, at + length));
        at += length;
      }
    } else {
      const sources: Float32Array[] = [];
      for (const location of locations) {
        const source = new Float32Array(countOf(location));
        await readTensor(location, source);
        sources.push(source);
      }
      entry.arrange(sources, out);
    }
  }
  return { layout, buffer, parameters };
}

function countOf(location: TensorLocation): number {
  return location.dims.reduce((product, dim) => product * dim, 1);
}

function locate(model: LanguageModel, files: WeightFiles, source: SourceTensor): TensorLocation & { readonly path: string } {
  const { tensor, dims, alias } = source;
  const full = model.optionalPrefix + tensor;
  const found = files.tensors.get(full) ?? files.tensors.get(tensor) ?? (alias === undefined ? undefined : files.tensors.get(alias));
  if (found === undefined) {
    throw new CallerError(
      'MISSING_TENSOR',
      `tensor ${full} [${dims.join(', ')}]: expected by config.json (${model.architecture}), not in the weights`,
    );
  }
  if (found.dims.length !== dims.length || found.dims.some((dim, i) => dim !== dims[i])) {
    throw new CallerError(
      'WRONG_SHAPE',
      `tensor ${full}: config.json asks for [${dims.join(', ')}], the weights have [${found.dims.join(', ')}]`,
    );
  }
  return found;
}
