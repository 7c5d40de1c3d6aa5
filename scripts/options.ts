import { InvalidArgumentError, Option } from 'commander';
import { DEVICES } from '../src/config.ts';
import { SCORERS, isScorer, type ScorerName } from '../src/pipelines/methodNames.ts';

/** Parsers for command-line values; each says what it expected. */

const SUFFIX: Readonly<Record<string, number>> = { '': 1, k: 1e3, M: 1e6, G: 1e9 };

/** A whole number of at least `least`, with k, M or G: 200k, 1.5M. */
export function count(least = 1): (text: string) => number {
  return (text) => {
    const match = /^(\d+(?:\.\d+)?)([kMG]?)$/.exec(text);
    const value = match === null ? Number.NaN : Math.round(Number(match[1]) * SUFFIX[match[2]!]!);
    if (!Number.isSafeInteger(value) || value < least) throw new InvalidArgumentError(`expected a whole number of at least ${least}, e.g. 2000, 200k or 1.5M.`);
    return value;
  };
}

/** A finite number in [low, high]. */
export function number(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (!(value >= low && value <= high)) throw new InvalidArgumentError(`expected a number from ${low} to ${high}.`);
    return value;
  };
}

/** `all`, or a list of layers: 0,2,5 or 0-3. */
export function layerList(text: string): 'all' | number[] {
  if (text === 'all') return 'all';
  const layers = text.split(',').flatMap((part) => {
    const range = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part.trim());
    if (range === null) throw new InvalidArgumentError('expected all, or layers such as 0,2,5 or 0-3.');
    const from = Number(range[1]);
    const to = Number(range[2] ?? range[1]);
    if (to < from) throw new InvalidArgumentError(`the range ${part} runs backwards.`);
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
  return [...new Set(layers)].sort((a, b) => a - b);
}

/** Names of scorers, parted by commas. */
export function scorerList(text: string): ScorerName[] {
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !isScorer(name));
  if (unknown !== undefined) throw new InvalidArgumentError(`expected some of ${SCORERS.join(', ')}, found ${unknown}.`);
  return [...new Set(names.filter(isScorer))];
}

export const modelOption = (): Option =>
  new Option('--model <folder|hub id>', 'Hugging Face model folder, or hub id such as EleutherAI/pythia-70m-deduped; later stages also take the catalog name').makeOptionMandatory();
export const nameOption = (): Option => new Option('--name <name>', "catalog name of the model; by default the folder's or repository's name, lower-cased");
export const deviceOption = (): Option => new Option('--device <device>', 'where the model runs (default: DEVICE, else cpu)').choices(DEVICES);
export const workersOption = (): Option => new Option('--workers <threads>', 'inference threads (default: WORKERS, else one per core)').argParser(count());
export const seedOption = (): Option => new Option('--seed <integer>', 'seed of every random draw').argParser(count(0)).default(0);
export const setOption = (): Option => new Option('--set <name>', 'set of dictionaries; dictionaries are named {layer}-{set}').default('tied-r4');
export const protocolOption = (description: string): Option => new Option('--protocol <name>', description).choices(['paper']);
