import type { Exemplar, TokenLogit } from '../../domain/feature.ts';
import { augment } from './augment.ts';
import { describe } from './describe.ts';
import { alonePaths, hasContext, median, observedPaths, pathsOf } from './paths.ts';
import { prune } from './prune.ts';
import type { Pruned } from './prune.ts';
import type { Subject } from './probe.ts';
import { saliency } from './saliency.ts';
import type { PatternSettings } from './settings.ts';
import { chooseTargets, nearStart } from './targets.ts';
import type { Target } from './targets.ts';
import { buildTrie } from './trie.ts';
import type { PatternPath, TrieNode } from './trie.ts';

export interface PatternTask {
  readonly feature: number;
  /** Explanation fragments only. */
  readonly fragments: readonly Exemplar[];
  readonly topLogits: readonly TokenLogit[];
}

/** Machine-readable form of a pattern explanation; what `simulate` reads. */
export interface PatternDetail {
  readonly format: 'pattern-v1';
  /** Largest activation in the explanation fragments, in the dictionary's units; the values of the trie are in the same units. */
  readonly max: number;
  /** Positions studied, and of these the ones no tested context accounted for. */
  readonly studied: number;
  readonly unexplained: number;
  readonly trie: readonly TrieNode[];
}

export interface Pattern {
  readonly feature: number;
  readonly description: string;
  readonly detail: PatternDetail;
}

/**
 * Explains features from their strongest fragments and the subject model alone: prune, saliency, augmentation, trie (Foote et al.
 * 2023, "Neuron to Graph", adapted to dictionary features; the differences are named in each step's file). All features of the
 * call are probed together, so that the model sees few large batches.
 * @returns one entry per task; null where the fragments hold no activation.
 */
export async function explainPatterns(tasks: readonly PatternTask[], subject: Subject, settings: PatternSettings, seed: number): Promise<(Pattern | null)[]> {
  const targets = tasks.flatMap((task) => chooseTargets(task.feature, task.fragments, subject.documentStart, settings));
  const pruned = await prune(targets, subject, settings, seed);
  const salient = await saliency(pruned.filter((p) => p !== null), subject, settings, seed);
  const augmented = await augment(salient, subject, settings);
  const unaccounted = targets.filter((_, i) => pruned[i] === null);
  const longestContext = Math.max(0, ...settings.suffixLengths.flat());

  return tasks.map(({ feature, fragments, topLogits }) => {
    const mine = augmented.filter((a) => a.salient.pruned.target.feature === feature);
    const unexplained = unaccounted.filter((t) => t.feature === feature);
    const studied = mine.length + unexplained.length;
    if (studied === 0) return null;
    const max = (mine[0]?.salient.pruned.target ?? unexplained[0]).max;
    const single = mine.map((a) => a.salient.pruned).filter((p) => p.tokens.length === 1);
    const alone = single.length === 0 ? [] : alonePaths(subject.alone(feature), max, aloneScale(single), settings.aloneShare, settings.aloneTokens);
    const text = (id: number): string => subject.token(id);
    const groups = [...mine.map((a) => pathsOf(a, settings)), ...unexplained.map((t) => [unexplainedPath(t, subject.documentStart)])];
    const observed = observedPaths(alone, groups.map((group) => group.filter(hasContext)), fragments, max, settings);
    // Of what is known about one token by itself, the observed value holds.
    const known = new Set(observed.map(({ tokens }) => tokens[0]));
    const paths = [...groups.flat().filter((path) => hasContext(path) || !known.has(path.tokens[0])), ...observed];
    const trie = buildTrie(paths.map((p) => ({ tokens: p.tokens, value: rounded(p.value) })), text);
    const findings = {
      salient: mine.map((a) => a.salient),
      unexplained,
      alone: alone.map((p) => ({ token: p.tokens[0]!, value: p.value })),
      documentStart: subject.documentStart,
      topLogits,
      longestContext,
    };
    return { feature, description: describe(findings, subject), detail: { format: 'pattern-v1', max: rounded(max), studied, unexplained: unexplained.length, trie } };
  });
}

/**
 * What is known of a position no short context accounts for: its token was active there; or, among the first tokens of a document,
 * that this place was.
 */
function unexplainedPath(target: Target, documentStart: number): PatternPath {
  const place = target.startsDocument && nearStart(target);
  return { tokens: place ? [...target.tokens.map(() => null), documentStart] : [target.tokens[0]], value: target.activation };
}

function aloneScale(single: readonly Pruned[]): number {
  return Math.min(2, Math.max(0.5, median(single.map((p) => p.target.activation / p.base))));
}

/** Five significant digits: more than the simulation needs, and the same whatever batch a probe was read in. */
function rounded(value: number): number {
  return Number(value.toPrecision(5));
}
