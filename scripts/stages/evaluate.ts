import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { readCurrentRuns, type CurrentDictionary } from '../../src/adapters/files/currentRuns.ts';
import { openDictionaryReader } from '../../src/adapters/ort/dictionaryReader.ts';
import { openPredictionScorer } from '../../src/adapters/ort/predictionScorer.ts';
import { openRowProducts } from '../../src/adapters/ort/rowProducts.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { Rng } from '../../src/math/rng.ts';
import { evaluate, type DictionaryEvaluation, type DictionarySource, type EvaluateResult } from '../../src/pipelines/evaluate.ts';
import { compareDictionaries, type DictionaryComparison } from '../../src/pipelines/evaluateComparisons.ts';
import { runStage, type StageResult } from '../../src/pipelines/runStage.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import type { Tokenizer } from '../../src/ports/Tokenizer.ts';
import type { LocatedModel, Workspace } from '../workspace.ts';
import type { TextSource } from './textSources.ts';
import { tokensStage, withTokens } from './tokens.ts';

/** Which dictionaries: all of some sets, some by name, some by folder. */
export interface Selection {
  readonly sets: readonly string[];
  readonly names: readonly string[];
  /** Folders with cfg.json and weights.safetensors, whether or not a stage made them here. */
  readonly folders: readonly string[];
}

export interface EvaluateOptions {
  /** Text none of the dictionaries was trained on, all of it to be used; null = the rows that training left. */
  readonly text: TextSource | null;
  /** Tokens per row of that text. */
  readonly context: number;
  /** Tokens read at most, in whole rows drawn at random. */
  readonly maxTokens: number;
  readonly skipPositions: number;
  /** Compare the directions of dictionaries that write at the same hook point. */
  readonly compare: boolean;
  readonly workers: number | undefined;
  readonly seed: number;
}

/** What the stage's manifest holds. */
export interface EvaluateMetrics {
  /** Tokens read. */
  readonly tokens: number;
  /** Of the call that finished the run; see EvaluateResult. */
  readonly forwardRuns: EvaluateResult['forwardRuns'];
  readonly dictionaries: readonly DictionaryEvaluation[];
  readonly comparisons: readonly DictionaryComparison[];
}

/** Threads that read with one dictionary: reading is little work beside the model's runs, and up to 8 dictionaries are open at once. */
const READERS = 2;

/** Evaluates the selected dictionaries in one run. */
export async function evaluateStage(workspace: Workspace, located: LocatedModel, model: SubjectModel, tokenizer: Tokenizer, selection: Selection, options: EvaluateOptions): Promise<StageResult & { readonly evaluated: EvaluateMetrics }> {
  const { config, runs, artefacts, progress } = workspace;
  const selected = await select(workspace, located.name, selection);
  const { dir, from } = await textOf(workspace, tokenizer, model, selected, options);
  return withTokens(dir, async (tokens) => {
    const { maxTokens, skipPositions, compare, seed } = options;
    const rows = sample(from, tokens.rows, Math.ceil(maxTokens / tokens.cols), seed);
    const dictionaries = selected.map(({ source }) => source);
    const workers = options.workers ?? config.workers ?? availableParallelism();
    const result = await runStage(
      { store: runs, progress },
      {
        stage: 'evaluate',
        params: { from, rows: rows.length, skipPositions, compare, dictionaries: dictionaries.map((each) => each.config.name) },
        inputs: { ...Object.fromEntries(dictionaries.map((each) => [each.config.name, each.config.weightsHash])), model: model.info.weightsHash, tokens: tokens.hash },
        seed,
      },
      async (run) => {
        const products = openRowProducts(workers);
        const scorer = openPredictionScorer(workers);
        try {
          const evaluated = await evaluate({ model, scorer, reader: openDictionaryReader({ workers: Math.min(READERS, workers) }), artefacts, progress, dictionaries, tokens, rows, skipPositions, dir: run.dir });
          const comparisons = compare ? await compareDictionaries({ dictionaries, products, artefacts, progress, dir: run.dir }) : [];
          return { tokens: rows.length * tokens.cols, forwardRuns: evaluated.forwardRuns, dictionaries: evaluated.evaluations, comparisons } satisfies EvaluateMetrics;
        } finally {
          await Promise.all([products.close(), scorer.close()]);
        }
      },
    );
    return { ...result, evaluated: result.run.metrics as unknown as EvaluateMetrics };
  });
}

interface Selected {
  readonly source: DictionarySource;
  /** Null for a folder. */
  readonly current: CurrentDictionary | null;
}

async function select({ config: { home }, artefacts }: Workspace, model: string, { sets, names, folders }: Selection): Promise<Selected[]> {
  const known = (await readCurrentRuns(home, model))?.dictionaries ?? {};
  const all = Object.keys(known);
  const chosen: string[] = [];
  const missing = (what: string): never => {
    throw new CallerError('NOT_FOUND', `model ${model} has no ${what} in ${home}; ${all.length === 0 ? 'it has no dictionaries: train or import some first' : `it has the dictionaries ${all.join(', ')}`}`);
  };
  for (const set of sets) {
    const members = all.filter((name) => name.replace(/^\d+-/, '') === set).sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
    if (members.length === 0) missing(`set ${set}`);
    chosen.push(...members);
  }
  for (const name of names) {
    if (known[name] === undefined) missing(`dictionary ${name}`);
    chosen.push(name);
  }
  const open = async (folder: string, current: CurrentDictionary | null): Promise<Selected> => {
    // Read once for its config, and again when it is its turn: the weights of all would not fit.
    const { weights } = await artefacts.readDictionary(folder);
    return { current, source: { config: weights.config, load: async () => (await artefacts.readDictionary(folder)).weights } };
  };
  const selected: Selected[] = [];
  for (const name of new Set(chosen)) selected.push(await open(join(home, known[name]!.weights), known[name]!));
  for (const folder of new Set(folders)) selected.push(await open(resolve(folder), null));
  return selected;
}

/** Folder of the token rows, and the first row that may be read. */
async function textOf(workspace: Workspace, tokenizer: Tokenizer, model: SubjectModel, selected: readonly Selected[], { text, context }: EvaluateOptions): Promise<{ dir: string; from: number }> {
  if (text !== null) return { dir: (await tokensStage(workspace, text, tokenizer, model.info.vocabSize, { context, maxTokens: null })).dir, from: 0 };
  const texts = new Map(selected.flatMap(({ current }) => (current === null ? [] : [[current.tokens, current]])));
  const [first, ...others] = texts.values();
  if (first === undefined || others.length > 0) {
    throw new CallerError('BAD_INPUT', `the dictionaries ${first === undefined ? 'were made elsewhere' : 'were trained on different texts'}: give text they were not trained on with --text`);
  }
  return { dir: join(workspace.config.home, first.tokens), from: Math.max(...selected.map(({ current }) => current?.trainRows ?? 0)) };
}

/** At most `count` of the rows [from, to), drawn at random, in ascending order. */
function sample(from: number, to: number, count: number, seed: number): Uint32Array {
  if (to <= from) throw new CallerError('BAD_INPUT', `the token file has ${to} rows and training took ${from}: tokenise more text, train on less, or give other text with --text`);
  return Rng.derive(seed, 'evaluate').permutation(to - from).slice(0, count).sort().map((row) => from + row);
}
