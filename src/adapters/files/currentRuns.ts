import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CallerError, OutsideError, messageOf } from '../../domain/errors.ts';

/**
 * Which finished run each stage of a model's dictionaries last produced, so that commands can say `--model demo` where
 * they would otherwise take run keys. One small JSON file per model, CATALOG_HOME/current/<model>.json; paths inside are
 * relative to CATALOG_HOME, so that the folder can be moved.
 */
export interface CurrentRuns {
  readonly formatVersion: 3;
  readonly model: string;
  /** Folder (absolute) or hub id of the weights. */
  readonly source: string;
  /** By dictionary name. */
  readonly dictionaries: Readonly<Record<string, CurrentDictionary>>;
  /** Run folders of the circuits stage, by set of dictionaries (`a+b` where several sets were measured together), oldest first. */
  readonly circuits: Readonly<Record<string, readonly string[]>>;
  /** Run folders of the nearest stage, oldest first; of a pair of dictionaries the last one counts. */
  readonly nearest?: readonly string[];
}

export interface CurrentDictionary {
  /** Run folder and the dictionary's folder inside it. */
  readonly train: string;
  readonly weights: string;
  /** Run folder of the token rows; training drew from rows [0, trainRows). */
  readonly tokens: string;
  readonly trainRows: number;
  readonly analyse: string | null;
  /** Run folder of the token rows that the analysis read, where they are others than `tokens` (--protocol paper). */
  readonly analysedTokens?: string;
  /** Run folders of the explain stage since then, by explainer: the last run of each. */
  readonly explain: Readonly<Record<string, string>>;
}

/** What explained a dictionary before explainers were told apart (format 1). */
const ONLY_EXPLAINER = 'pattern-v1';

/** Format 2: only the last circuits run of a set. */
interface CurrentRuns2 extends Omit<CurrentRuns, 'formatVersion' | 'circuits'> {
  readonly formatVersion: 2;
  readonly circuits: Readonly<Record<string, string>>;
}

/** Format 1: one explain run or none. */
interface CurrentRuns1 extends Omit<CurrentRuns2, 'formatVersion' | 'dictionaries'> {
  readonly formatVersion: 1;
  readonly dictionaries: Readonly<Record<string, Omit<CurrentDictionary, 'explain'> & { readonly explain: string | null }>>;
}

const fileOf = (home: string, model: string): string => join(home, 'current', `${model}.json`);

/** Null when nothing was made for this model yet. */
export async function readCurrentRuns(home: string, model: string): Promise<CurrentRuns | null> {
  let text: string;
  try {
    text = await readFile(fileOf(home, model), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new OutsideError('disk', `cannot read ${fileOf(home, model)}: ${messageOf(error)}`, { cause: error });
  }
  let found: CurrentRuns | CurrentRuns2 | CurrentRuns1;
  try {
    found = JSON.parse(text) as CurrentRuns | CurrentRuns2 | CurrentRuns1;
  } catch (error) {
    throw new OutsideError('disk', `${fileOf(home, model)} is damaged (${messageOf(error)}): delete it and run the stages again; finished runs are reused`, { cause: error });
  }
  if (found.formatVersion === 1) return fromFormat2(fromFormat1(found));
  if (found.formatVersion === 2) return fromFormat2(found);
  if (found.formatVersion !== 3) {
    throw new CallerError('UNSUPPORTED', `${fileOf(home, model)}: expected format version 1 to 3, found ${String((found as { formatVersion: unknown }).formatVersion)}; use the program version that wrote it, or another CATALOG_HOME`);
  }
  return found;
}

function fromFormat1(found: CurrentRuns1): CurrentRuns2 {
  const dictionaries: Record<string, CurrentDictionary> = {};
  for (const [name, { explain, ...rest }] of Object.entries(found.dictionaries)) {
    const runs: Record<string, string> = explain === null ? {} : { [ONLY_EXPLAINER]: explain };
    dictionaries[name] = { ...rest, explain: runs };
  }
  return { ...found, formatVersion: 2, dictionaries };
}

function fromFormat2(found: CurrentRuns2): CurrentRuns {
  return { ...found, formatVersion: 3, circuits: Object.fromEntries(Object.entries(found.circuits).map(([set, run]) => [set, [run]])) };
}

/** Applies a change and writes the file whole. */
export async function updateCurrentRuns(
  home: string,
  model: string,
  source: string,
  change: (current: CurrentRuns) => CurrentRuns,
): Promise<CurrentRuns> {
  const before = (await readCurrentRuns(home, model)) ?? { formatVersion: 3, model, source, dictionaries: {}, circuits: {} };
  const after = change({ ...before, source });
  const path = fileOf(home, model);
  await mkdir(join(home, 'current'), { recursive: true });
  await writeFile(`${path}.tmp`, `${JSON.stringify(after, null, 2)}\n`);
  await rename(`${path}.tmp`, path);
  return after;
}
