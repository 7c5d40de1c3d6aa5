import { join } from 'node:path';
import { outputHookPointOf, type DictionaryConfig, type DictionaryWeights } from '../domain/dictionary.ts';
import { CallerError } from '../domain/errors.ts';
import { parseHookPoint } from '../domain/hookPoint.ts';
import type { Artefacts } from '../ports/Artefacts.ts';
import type { Nearest, NearestRows } from '../ports/NearestRows.ts';
import type { Progress } from '../ports/Progress.ts';

/** Shards hold indices as float32, which is exact so far. */
const MOST_FEATURES = 2 ** 24;

/** A dictionary whose weights are read when they are needed. */
export interface NearestSource {
  readonly config: DictionaryConfig;
  read(): Promise<DictionaryWeights>;
}

export interface NearestInput {
  /** Dictionaries of one model, with different names. */
  readonly dictionaries: readonly NearestSource[];
  /** Neighbours of a feature in each other dictionary. */
  readonly k: number;
  /** Only dictionaries that write at most so many layers apart; null = all. */
  readonly within: number | null;
  readonly rows: NearestRows;
  readonly artefacts: Artefacts;
  readonly progress: Progress;
  /** The run's own folder, which exists. */
  readonly dir: string;
}

/** The nearest features in `to` of every feature of `from`. */
export interface NearestPair {
  readonly from: string;
  readonly to: string;
  /** In the run's folder: tensors `index` and `cosine` [F of from, k], nearest first; index -1 and cosine 0 where there are no more. */
  readonly file: string;
}

/**
 * For every feature of every dictionary its k nearest in every other one, by cosine of decoder directions (for transcoders, those they
 * write); ties by index. Only dictionaries of equal output width are compared. Directions of zero have no neighbours and are nobody's.
 *
 * Work: 2·F·F′·d operations for two dictionaries, both ways together; result: 8·k·F bytes a dictionary and other dictionary. Memory: the weights of
 * two dictionaries. Each way of a pair is a file that appears whole; after a crash the same call goes on with the pairs that lack one.
 */
export async function nearest(input: NearestInput): Promise<readonly NearestPair[]> {
  const { dictionaries, artefacts, dir, k } = input;
  const { couples, unlike } = couplesOf(dictionaries.map(({ config }) => config), input);
  if (unlike > 0) input.progress.say(`nearest: left out ${unlike} pairs of dictionaries whose directions have different widths`);
  const pairs = couples.flatMap(([i, j]) => [pairOf(dictionaries[i].config, dictionaries[j].config), pairOf(dictionaries[j].config, dictionaries[i].config)]);
  const has = async ({ file }: NearestPair): Promise<boolean> => (await artefacts.readTensors(join(dir, file))) !== null;
  const task = input.progress.start('nearest', couples.reduce((sum, [i, j]) => sum + cosinesOf(dictionaries[i], dictionaries[j]), 0), 'cosines');
  let done = 0;
  let held: { readonly at: number; readonly decoder: Float32Array } | undefined;
  for (const [n, [i, j]] of couples.entries()) {
    const [there, back] = [pairs[2 * n], pairs[2 * n + 1]];
    const cosines = cosinesOf(dictionaries[i], dictionaries[j]);
    if (!((await has(there)) && (await has(back)))) {
      if (held?.at !== i) held = { at: i, decoder: await decoderOf(dictionaries[i]) };
      const before = done;
      const found = await input.rows.nearest(held.decoder, await decoderOf(dictionaries[j]), dictionaries[i].config.dOut, k, (some) => task.update(before + some, `${there.from} and ${there.to}`));
      await write(input, there, found.ofA);
      await write(input, back, found.ofB);
    }
    done += cosines;
    task.update(done);
  }
  task.finish(`${couples.length} pairs of dictionaries`);
  return pairs.sort((a, b) => compare(a.from, b.from) || compare(a.to, b.to));
}

/** What a pair's file holds; throws STALE_OUTPUT where it is gone or damaged. */
export async function readNearest(artefacts: Artefacts, dir: string, { file }: NearestPair): Promise<Nearest> {
  const found = await artefacts.readTensors(join(dir, file));
  const [index, cosine] = [found?.tensors.get('index'), found?.tensors.get('cosine')];
  if (index === undefined || cosine === undefined) throw new CallerError('STALE_OUTPUT', `${join(dir, file)} does not hold nearest features; delete the run's folder and run the nearest stage again`);
  return { k: index.shape[1], indices: Int32Array.from(index.data), cosines: cosine.data };
}

/** Layer of the hook point a dictionary writes. */
export function layerWritten(config: DictionaryConfig): number {
  return parseHookPoint(outputHookPointOf(config)).layer;
}

/** Indices i < j of dictionaries to compare, and how many pairs are not because their widths differ. Throws BAD_INPUT where there is nothing to compare. */
export function couplesOf(configs: readonly DictionaryConfig[], { within, k }: Pick<NearestInput, 'within' | 'k'>): { readonly couples: readonly (readonly [number, number])[]; readonly unlike: number } {
  if (!(Number.isSafeInteger(k) && k >= 1 && k <= 100)) throw new CallerError('BAD_INPUT', `${k} neighbours: expected 1 to 100 in each dictionary`);
  const names = configs.map(({ name }) => name);
  if (new Set(names).size !== names.length) throw new CallerError('BAD_INPUT', `dictionaries must have different names, found ${names.join(', ')}`);
  const models = [...new Set(configs.map(({ model }) => model))];
  if (models.length > 1) throw new CallerError('BAD_INPUT', `dictionaries must be of one model, found ${models.join(' and ')}`);
  const large = configs.find(({ nFeatures }) => nFeatures > MOST_FEATURES);
  if (large !== undefined) throw new CallerError('UNSUPPORTED', `dictionary ${large.name} has ${large.nFeatures} features: nearest features are found in dictionaries of at most ${MOST_FEATURES}`);
  const near = configs.flatMap((a, i) => configs.flatMap((b, j) => (i < j && (within === null || Math.abs(layerWritten(a) - layerWritten(b)) <= within) ? [[i, j] as const] : [])));
  const alike = near.filter(([i, j]) => configs[i].dOut === configs[j].dOut);
  if (alike.length === 0) {
    const found = configs.map((one) => `${one.name} (writes layer ${layerWritten(one)}, ${one.dOut} wide)`).join(', ');
    throw new CallerError('BAD_INPUT', `no two dictionaries to compare among ${found || 'none'}: expected two of one output width${within === null ? '' : ` at most ${within} layers apart`}; name more with --sets${within === null ? '' : ', or raise --within'}`);
  }
  return { couples: alike, unlike: near.length - alike.length };
}

function pairOf(from: DictionaryConfig, to: DictionaryConfig): NearestPair {
  return { from: from.name, to: to.name, file: `${from.name}/${to.name}.safetensors` };
}

function cosinesOf(a: NearestSource, b: NearestSource): number {
  return a.config.nFeatures * b.config.nFeatures;
}

async function decoderOf({ config, read }: NearestSource): Promise<Float32Array> {
  const weights = await read();
  if (weights.config.weightsHash !== config.weightsHash) throw new CallerError('STALE_OUTPUT', `the weights of dictionary ${config.name} were replaced meanwhile: run the nearest stage again`);
  return weights.decoder;
}

async function write({ artefacts, dir }: NearestInput, { from, to, file }: NearestPair, { k, indices, cosines }: Nearest): Promise<void> {
  const shape = [indices.length / k, k];
  await artefacts.writeTensors(join(dir, file), new Map([['index', { shape, data: Float32Array.from(indices) }], ['cosine', { shape, data: cosines }]]), { from, to });
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
