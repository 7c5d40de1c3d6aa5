import { stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { CallerError } from '../../domain/errors.ts';
import type { ModelInfo } from '../../domain/model.ts';
import type { LanguageModel } from '../../lm/architecture.ts';
import { readLanguageModel } from '../../lm/registry.ts';
import { TOKENIZER_FILES } from '../../lm/tokenizerFiles.ts';
import { loadWeights } from './loadWeights.ts';
import type { LoadedWeights } from './loadWeights.ts';
import { hashFiles, openWeightFiles, readText } from './weightFiles.ts';

export interface ModelFolder {
  /** Parsed config.json. */
  readonly config: unknown;
  readonly model: LanguageModel;
  readonly weights: LoadedWeights;
  readonly info: ModelInfo;
}

/**
 * Reads a Hugging Face model folder (config.json, safetensors); `name` is the folder's where it is not given.
 *
 * Throws CallerError: NOT_FOUND (no such folder, no weights), BAD_MODEL_FILE, UNSUPPORTED_ARCHITECTURE, UNSUPPORTED,
 * MISSING_TENSOR, WRONG_SHAPE.
 */
export async function readModelFolder(folder: string, name: string = basename(resolve(folder))): Promise<ModelFolder> {
  await checkFolder(folder);
  const config = parseConfig(await readText(join(folder, 'config.json')));
  const model = readLanguageModel(config);
  const files = await openWeightFiles(folder);
  const weights = await loadWeights(model, files);
  const [weightsHash, tokenizerHash] = await Promise.all([hashFiles(files.paths), hashTokenizer(folder)]);
  const { architecture, layers, dModel, vocabSize, contextLength } = model;
  const { parameters } = weights;
  const info = { name, architecture, layers, dModel, vocabSize, contextLength, parameters, weightsHash, tokenizerHash };
  return { config, model, weights, info };
}

const behind = new WeakMap<object, ModelFolder>();

/** Remembers what an open model was made of, for as long as it is open. */
export function rememberFolder<T extends object>(model: T, folder: ModelFolder): T {
  behind.set(model, folder);
  return model;
}

/** What an open model was made of; undefined when it was not opened by this program's runtime. */
export function folderBehind(model: object): ModelFolder | undefined {
  return behind.get(model);
}

async function checkFolder(folder: string): Promise<void> {
  const found = await stat(folder).catch(() => undefined);
  if (found === undefined || !found.isDirectory()) {
    throw new CallerError('NOT_FOUND', `${folder}: expected a folder with config.json and model.safetensors, found ${found === undefined ? 'nothing' : 'a file'}`);
  }
}

function parseConfig(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CallerError('BAD_MODEL_FILE', 'config.json is not JSON', { cause });
  }
}

async function hashTokenizer(folder: string): Promise<string> {
  for (const names of TOKENIZER_FILES) {
    const paths = names.map((name) => join(folder, name));
    const present = await Promise.all(paths.map((path) => stat(path).then((found) => found.isFile(), () => false)));
    if (present.every(Boolean)) return hashFiles(paths);
  }
  return hashFiles([]);
}
