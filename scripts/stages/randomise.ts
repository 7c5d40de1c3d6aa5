import { copyFile, mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeModelFile, type StreamedTensor } from '../../src/adapters/files/modelFile.ts';
import { isFolder } from '../../src/adapters/hub/sourceFolder.ts';
import { openWeightFiles, readTensor, type WeightFiles } from '../../src/adapters/ort/weightFiles.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { drawInitial, initialWeights, type InitialTensor } from '../../src/lm/initialWeights.ts';
import { readLanguageModel } from '../../src/lm/registry.ts';
import { Rng } from '../../src/math/rng.ts';

/** Everything of a model folder that is no weights; tokenizers are copied, so that the control reads the same tokens. */
const COPIED = ['config.json', 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json', 'vocab.json', 'merges.txt'];
/** Numbers drawn at a time. */
const PIECE = 1 << 20;

export interface RandomiseOptions {
  readonly keepEmbeddings: boolean;
  readonly seed: number;
}

/**
 * The control of Heap et al. 2025 (arXiv 2501.17727): a model of the same architecture with random weights, on which every
 * stage runs as on the trained one. They compare several ways of randomising; this draws all weights as the Hugging Face
 * implementation initialises them, or all but the embeddings.
 */
export async function randomise(folder: string, out: string, { keepEmbeddings, seed }: RandomiseOptions): Promise<void> {
  if ((await isFolder(out)) && (await readdir(out)).length > 0) throw new CallerError('BAD_INPUT', `--out ${out}: expected a new or empty folder, found files; give another one, or delete it`);
  const config: unknown = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'));
  const model = readLanguageModel(config);
  const files = await openWeightFiles(folder);
  const tensors = initialWeights(config, model).map((tensor) => streamed(tensor, files, model.optionalPrefix, keepEmbeddings, seed));
  await mkdir(out, { recursive: true });
  const there = await readdir(folder);
  for (const name of COPIED) if (there.includes(name)) await copyFile(join(folder, name), join(out, name));
  await writeModelFile(join(out, 'model.safetensors'), tensors, { randomised: `seed ${seed}${keepEmbeddings ? ', embeddings kept' : ''}` });
}

/** One tensor under the name and in the type it has in the model's own file. */
function streamed({ source, start, embedding }: InitialTensor, { tensors }: WeightFiles, prefix: string, keepEmbeddings: boolean, seed: number): StreamedTensor {
  const { tensor, alias, dims } = source;
  const name = [prefix + tensor, tensor, ...(alias === undefined ? [] : [alias])].find((candidate) => tensors.has(candidate));
  if (name === undefined) throw new CallerError('MISSING_TENSOR', `tensor ${prefix}${tensor} [${dims.join(', ')}]: expected by config.json, not in the weights`);
  const location = tensors.get(name)!;
  const count = dims.reduce((product, dim) => product * dim, 1);
  return {
    name,
    dtype: location.dtype,
    dims,
    async *values() {
      if (keepEmbeddings && embedding) {
        const whole = new Float32Array(count);
        await readTensor(location, whole);
        yield whole;
        return;
      }
      const rng = Rng.derive(seed, 'randomise', tensor);
      for (let left = count; left > 0; left -= PIECE) {
        const piece = new Float32Array(Math.min(PIECE, left));
        drawInitial(piece, start, rng);
        yield piece;
      }
    },
  };
}
