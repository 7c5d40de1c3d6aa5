import { Bootstrap } from '../interp/bootstrap.ts';
import type { TextWindow } from '../interp/detectionWindows.ts';
import { refOf } from '../interp/split.ts';
import { EMBEDDING_AUC, embeddingScores, undefinedScore } from '../interp/windowScores.ts';
import type { EmbeddingModel } from '../ports/EmbeddingModel.ts';
import type { ScoreAttempt, Scorer, ScoreTask } from '../ports/Scorer.ts';
import type { Tokenizer } from '../ports/Tokenizer.ts';
import { forEachTask } from './forEachTask.ts';
import { WINDOW_DEFAULTS, WINDOW_RULES, heldOutWindows } from './heldOutWindows.ts';
import type { SilentWindows } from './silentWindows.ts';

export interface EmbeddingInput {
  readonly embeddings: EmbeddingModel;
  /** The subject model's. */
  readonly tokenizer: Tokenizer;
  readonly silent: SilentWindows;
  readonly seed: number;
}

/**
 * Whether the description is nearer to text where the feature is active than to text where it is silent, by an embedding model:
 * AUC of the cosine similarity of description and window (delphi's embedding scorer), over the windows that detection uses. Both go
 * in plainly, without the prefixes for queries and passages that some models were trained with: with such models it is lower than
 * it could be. The text between documents is a blank line.
 *
 * The silent windows come from one pool, so each is embedded once: at most a pool of vectors is kept.
 */
export function embeddingScorer({ embeddings, tokenizer, silent, seed }: EmbeddingInput): Scorer {
  const pooled = new Map<string, Promise<Float32Array>>();
  const bootstrap = new Bootstrap(seed);
  const by = { judge: embeddings.name, promptVersion: null };

  const scoreOne = async (task: ScoreTask): Promise<ScoreAttempt> => {
    const { index, description } = task;
    const windows = heldOutWindows(task, silent, WINDOW_DEFAULTS, seed);
    if ('tooFew' in windows) return { kind: 'scored', index, scores: [{ ...undefinedScore(EMBEDDING_AUC, windows.tooFew), ...by, fragments: [] }] };
    const quiet = windows.silent.map((window) => textOf(window, tokenizer));
    const missing = [...new Set(quiet)].filter((text) => !pooled.has(text));
    const asked = embeddings.embed([description, ...windows.active.map((window) => textOf(window, tokenizer)), ...missing]);
    missing.forEach((text, i) => pooled.set(text, asked.then((vectors) => vectors[1 + windows.active.length + i])));
    // What failed is asked again by the next feature that needs it.
    const forget = (): void => missing.forEach((text) => pooled.delete(text));
    for (const text of missing) pooled.get(text)!.catch(forget);
    const [[query, ...near], far] = await Promise.all([asked, Promise.all(quiet.map((text) => pooled.get(text)!))]);
    const judged = [
      ...windows.active.map((_, i) => ({ truth: true, score: cosine(query, near[i]) })),
      ...far.map((vector) => ({ truth: false, score: cosine(query, vector) })),
    ];
    const fragments = [...windows.active, ...windows.silent].map(refOf);
    return { kind: 'scored', index, scores: embeddingScores(judged, bootstrap).map((score) => ({ ...score, ...by, fragments })) };
  };

  return {
    name: 'embedding',
    judge: embeddings.name,
    promptVersion: null,
    parameters: { judge: embeddings.identity, settings: WINDOW_DEFAULTS, windows: WINDOW_RULES, silent: silent.identity, seed },
    judges: () => true,
    score: (tasks) => forEachTask(tasks, scoreOne),
  };
}

function textOf({ ids }: TextWindow, tokenizer: Tokenizer): string {
  const pieces: number[][] = [[]];
  for (const id of ids) {
    if (id === tokenizer.eosId || id === tokenizer.bosId) pieces.push([]);
    else pieces.at(-1)!.push(id);
  }
  return pieces.filter((piece) => piece.length > 0).map((piece) => tokenizer.decode(piece)).join('\n\n');
}

/** Of unit vectors. */
function cosine(a: Float32Array, b: Float32Array): number {
  let dot = 0;
  for (let i = 0; i < a.length; i++) dot += a[i] * b[i];
  return dot;
}
