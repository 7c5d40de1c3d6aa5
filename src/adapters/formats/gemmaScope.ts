import { join, resolve } from 'node:path';
import { CallerError } from '../../domain/errors.ts';
import type { HookPoint } from '../../domain/hookPoint.ts';
import { badForeign, checkedForeign, type ForeignFormat, type ForeignTensor } from './foreign.ts';
import { fromModulePath, known } from './hookNames.ts';
import { readJsonObject, type JsonObject } from './jsonObject.ts';
import { transposed } from './linearFolds.ts';
import { openNpz } from './npz.ts';
import { readSafetensors } from './safetensors.ts';

const NPZ = 'params.npz';
const SAFETENSORS = 'params.safetensors';
const CONFIG = 'config.json';
const CONFIG_KEYS: ReadonlySet<string> = new Set(['architecture', 'model_name', 'hf_hook_point_in', 'hf_hook_point_out', 'affine_connection', 'width', 'l0', 'type']);
const SKIP = 'affine_skip_connection';

/** Where a dictionary belongs, as far as its path and config say. */
interface Place {
  readonly point: HookPoint | null;
  readonly output: HookPoint | null;
  readonly said: string;
  readonly transcoder: boolean;
  /** Trained on token embeddings before Gemma multiplies them by √D. */
  readonly embedding: boolean;
  readonly notes: readonly string[];
}

/**
 * Gemma Scope 1 (params.npz: W_enc [d, n], W_dec [n, d], b_enc, b_dec, threshold [n]) and 2 (params.safetensors, lower-case names,
 * affine_skip_connection [d, dOut]). All are JumpReLU: c = h where h > θ, and the input is not centred. The weights do not say where
 * they belong: the release's name (res, mlp, att, transcoders) and folders (layer_20/width_16k/average_l0_71) do.
 */
export const gemmaScope: ForeignFormat = {
  name: 'gemma-scope',
  recognises: async (files) => files.includes(NPZ) || files.includes(SAFETENSORS),
  async read(folder) {
    const path = resolve(folder);
    const config = await readJsonObject(join(folder, CONFIG));
    const { tensors, file } = await readTensors(folder);
    const shapes = [...tensors.keys()].filter((name) => !['w_enc', 'w_dec', 'b_enc', 'b_dec', 'threshold', SKIP].includes(name));
    if (shapes.length > 0) throw badForeign(file, `tensors ${shapes.join(', ')} are none of Gemma Scope's`);
    const take = (name: string, shape: readonly (number | null)[]): ForeignTensor => {
      const tensor = tensors.get(name);
      if (tensor === undefined) throw badForeign(file, `has no tensor ${name}; it has ${[...tensors.keys()].join(', ')}`);
      if (tensor.shape.length !== shape.length) throw new CallerError('UNSUPPORTED', `${file}: ${name} has shape [${tensor.shape.join(', ')}], expected ${shape.length} dimensions; cross-layer dictionaries have no place in our form`);
      if (shape.some((size, i) => size !== null && size !== tensor.shape[i])) throw badForeign(file, `${name} has shape [${tensor.shape.join(', ')}], expected [${shape.map((size) => size ?? 'any').join(', ')}]`);
      return tensor;
    };
    const encoder = take('w_enc', [null, null]);
    const [D, F] = encoder.shape as [number, number];
    const decoder = take('w_dec', [F, null]);
    const dOut = decoder.shape[1]!;
    const place = placeOf(path, config);
    const skip = tensors.has(SKIP) ? transposed(take(SKIP, [D, dOut]).data, D, dOut) : null;
    if (config?.has('affine_connection') === true && config.boolean('affine_connection') !== (skip !== null)) throw badForeign(config.where, `affine_connection is ${String(config.fields['affine_connection'])}, but ${SAFETENSORS} has ${skip === null ? 'no ' : ''}${SKIP}`);
    if (dOut !== D && !place.transcoder) throw badForeign(file, `it reads ${D} numbers and writes ${dOut}, which only a transcoder does; the path does not say that it is one`);
    const scale = place.embedding ? Math.sqrt(D) : 1;
    return [
      checkedForeign(file, {
        format: 'gemma-scope',
        architecture: 'jumprelu',
        parameters: {
          encoder: transposed(encoder.data, D, F),
          encoderBias: take('b_enc', [F]).data,
          threshold: take('threshold', [F]).data.map((theta) => Math.max(0, theta)),
          decoder: decoder.data,
          decoderBias: take('b_dec', [dOut]).data,
          skip,
        },
        k: null, dIn: D, dOut, nFeatures: F,
        hook: { point: place.point, output: place.output, said: place.said },
        transcoder: place.transcoder,
        model: modelOf(path, config),
        inputScale: scale,
        outputScale: scale,
        notes: [...releaseNotes(path), ...place.notes],
        label: '',
      }),
    ];
  },
};

/** By lower-case names: both releases differ in that alone. */
async function readTensors(folder: string): Promise<{ tensors: ReadonlyMap<string, ForeignTensor>; file: string }> {
  const named = new Map<string, ForeignTensor>();
  const file = join(folder, NPZ);
  const npz = await openNpz(file).catch((error: unknown) => {
    if (error instanceof CallerError && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') return null;
    throw error;
  });
  if (npz === null) {
    const path = join(folder, SAFETENSORS);
    for (const [name, tensor] of (await readSafetensors(path)).tensors) named.set(name.toLowerCase(), tensor);
    return { tensors: named, file: path };
  }
  try {
    for (const name of npz.names) named.set(name.toLowerCase(), await npz.array(name));
  } finally {
    await npz.close();
  }
  return { tensors: named, file };
}

function placeOf(path: string, config: JsonObject | null): Place {
  if (config !== null) {
    config.refuseUnknown(CONFIG_KEYS);
    const architecture = config.text('architecture');
    if (architecture !== 'jump_relu') throw new CallerError('UNSUPPORTED', `${config.where}: architecture ${architecture}; Gemma Scope's are jump_relu`);
    const input = config.textOrNull('hf_hook_point_in');
    const output = config.textOrNull('hf_hook_point_out');
    if (input !== null) return { point: ofModule(input), output: output === null ? null : ofModule(output), said: output === null ? input : `${input} to ${output}`, transcoder: output !== null, embedding: false, notes: [] };
  }
  const parts = path.split(/[/\\]/);
  // The last one that says a layer: folders above may belong to anything.
  const layer = parts.map((part) => /^layer_(\d+)(?:_|$)/.exec(part)?.[1]).findLast((found) => found !== undefined);
  const kind = kindOf(parts);
  const plain = { output: null, transcoder: false, embedding: false, notes: [] };
  if (parts.includes('embedding')) {
    return { ...plain, point: 'embed', said: 'embedding', embedding: true, notes: ['trained on embeddings before the model multiplies them by √D: that factor became the scale of input and output'] };
  }
  if (layer === undefined || kind === null) return { ...plain, point: null, said: 'a path that names no layer, or none of res, mlp, att, transcoders' };
  const said = `${kind} of layer ${layer}`;
  switch (kind) {
    case 'res':
      return { ...plain, point: known('resid_post', layer), said };
    case 'mlp':
      return { ...plain, point: known('mlp_out', layer), said };
    case 'att':
      return { ...plain, point: null, said: `${said}: the heads before the output projection, where we have no hook point` };
    case 'transcoder':
      return {
        point: null, output: known('mlp_out', layer), transcoder: true, embedding: false, notes: [],
        said: `${said}: the normalised MLP input before the norm's gain (the release folded the gain into the MLP), where we have no hook point; mlp_in.${layer} is after the gain`,
      };
  }
}

type Kind = 'res' | 'mlp' | 'att' | 'transcoder';

function kindOf(parts: readonly string[]): Kind | null {
  for (const part of parts.toReversed()) {
    const found = /(?:^|gemma-scope-.*-)(resid_post|res|mlp_out|mlp|attn_out|att|transcoders?)(?:_all)?$/.exec(part)?.[1];
    if (found !== undefined) return found.startsWith('res') ? 'res' : found.startsWith('mlp') ? 'mlp' : found.startsWith('att') ? 'att' : 'transcoder';
  }
  return null;
}

/** A point as config.json writes it: a module path, then `.output` or `.input`. */
function ofModule(text: string): HookPoint | null {
  const match = /^(.*)\.(output|input)$/.exec(text);
  if (match === null) return null;
  const [, module, side] = match;
  // Gemma 3 adds what its norm after the MLP gives to the stream, so that is the branch's output.
  const branch = /^(.*layers\.\d+)\.post_feedforward_layernorm$/.exec(module!);
  if (branch !== null && side === 'output') return fromModulePath(`${branch[1]!}.mlp`, 'output');
  const input = /^(.*layers\.\d+)\.pre_feedforward_layernorm$/.exec(module!);
  if (input !== null && side === 'output') return fromModulePath(`${input[1]!}.mlp`, 'input');
  return fromModulePath(module!, side as 'output' | 'input');
}

/** Width and sparsity as the folders say them. */
function releaseNotes(path: string): string[] {
  const width = /width_(\d+[km]?)/.exec(path)?.[1];
  const l0 = /(?:average_)?l0_(\w+?)(?:_affine)?(?:[/\\]|$)/.exec(path)?.[1];
  const said = [...(width === undefined ? [] : [`width ${width}`]), ...(l0 === undefined ? [] : [`L0 ${l0}`])];
  return said.length === 0 ? [] : [`released as ${said.join(', ')}`];
}

function modelOf(path: string, config: JsonObject | null): string | null {
  if (config?.has('model_name') === true) return config.text('model_name');
  const found = /gemma-scope-(2-)?(\d+[bm])-(pt|it)/.exec(path);
  if (found === null) return null;
  const [, second, size, kind] = found;
  return second === undefined ? `gemma-2-${size}${kind === 'it' ? '-it' : ''}` : `gemma-3-${size}-${kind}`;
}
