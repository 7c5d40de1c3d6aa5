import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { badForeign, checkedForeign, type ForeignDictionary, type ForeignFormat, type ForeignReadOptions } from './foreign.ts';
import { unreadable } from './foreignFiles.ts';
import { LEARNED_DICT_CLASSES, readLearnedDict } from './learnedDictClasses.ts';
import { asKind, describe, numberOf, type PickleDict, type PickleValue } from './pickleValues.ts';
import { openTorch, type TorchFile } from './torch.ts';

const FILE = /^learned_dicts.*\.pt$/;

/**
 * The paper's own files (HoagyC/sparse_coding): learned_dicts*.pt, a pickled list of (LearnedDict, hyper-parameters). Its classes
 * are read as records of their fields; none of their code is needed or run. Each entry becomes one dictionary, in the order of
 * the list. The files say neither model nor layer.
 */
export const learnedDicts: ForeignFormat = {
  name: 'learned-dicts',
  recognises: async (files) => files.some((name) => FILE.test(name)),
  async read(folder, options = {}) {
    const names = (await readdir(folder).catch((cause: unknown) => { throw unreadable(folder, cause); })).filter((name) => FILE.test(name)).sort();
    if (names.length === 0) throw badForeign(folder, 'has no learned_dicts.pt');
    const found: ForeignDictionary[] = [];
    for (const name of names) found.push(...(await readFile(join(folder, name), names.length > 1 ? `${name.slice(0, -'.pt'.length)}-` : '', options)));
    return found;
  },
};

async function readFile(path: string, prefix: string, { maxBytes }: ForeignReadOptions): Promise<ForeignDictionary[]> {
  const file = await openTorch(path, LEARNED_DICT_CLASSES, maxBytes === undefined ? {} : { maxBytes });
  try {
    const list = asKind(file.root, 'list')?.items;
    if (list === undefined || list.length === 0) throw badForeign(path, `holds ${describe(file.root)}, expected a list of (LearnedDict, hyper-parameters)`);
    const found: ForeignDictionary[] = [];
    for (const [index, entry] of list.entries()) found.push(await readEntry(file, entry, path, index, prefix));
    return found;
  } finally {
    await file.close();
  }
}

async function readEntry(file: TorchFile, entry: PickleValue, path: string, index: number, prefix: string): Promise<ForeignDictionary> {
  const where = `${path} entry ${index}`;
  const pair = asKind(entry, 'tuple')?.items ?? [];
  const [value, hyper] = pair;
  const object = asKind(value, 'object');
  const parameters = asKind(hyper, 'dict');
  if (pair.length !== 2 || object === undefined || parameters === undefined) throw badForeign(where, `is ${pair.length === 2 ? `(${describe(value)}, ${describe(hyper)})` : describe(entry)}, expected (LearnedDict, hyper-parameters)`);
  const read = await readLearnedDict(file, object, where);
  const said = hyperparameters(parameters);
  return checkedForeign(where, {
    format: 'learned-dicts',
    ...read,
    dOut: read.dIn,
    hook: { point: null, output: null, said: `nothing (${basename(path)} holds weights and hyper-parameters only)` },
    model: null,
    inputScale: 1,
    outputScale: 1,
    notes: [...read.notes, ...(said === '' ? [] : [`hyper-parameters ${said}`])],
    label: `${prefix}${index}`,
  });
}

/** `l1_alpha 0.001, dict_size 2048`; only numbers, text and booleans, and not too many. */
function hyperparameters({ entries }: PickleDict): string {
  const said: string[] = [];
  for (const [key, value] of [...entries].slice(0, 20)) {
    const plain = numberOf(value) ?? (typeof value === 'string' || typeof value === 'boolean' ? describe(value) : undefined);
    if (plain !== undefined) said.push(`${String(key).slice(0, 40)} ${plain}`);
  }
  return said.join(', ');
}
