import type { TokenLogit } from '../../domain/feature.ts';
import type { Salient } from './saliency.ts';
import { nearStart } from './targets.ts';
import type { Target } from './targets.ts';
import type { WeightedText } from './tokenClass.ts';
import { listed, mergeSpellings, tokenPhrase } from './tokenPhrase.ts';
import { quoted } from './tokenWording.ts';

export interface Findings {
  /** Positions a short context accounts for, each with the weight of its activation. */
  readonly salient: readonly Salient[];
  /** Positions no short context accounts for. */
  readonly unexplained: readonly Target[];
  /** Tokens that fire the feature alone. */
  readonly alone: readonly { readonly token: number; readonly value: number }[];
  /** Token between documents. */
  readonly documentStart: number;
  readonly topLogits: readonly TokenLogit[];
  /** Most context tokens that were tried. */
  readonly longestContext: number;
}

interface Wording {
  token(id: number): string;
  decode(ids: readonly number[]): string;
}

/** Characters; a longer sentence loses its example first, then its promoted tokens. */
const LENGTH = 200;

/**
 * One searchable sentence from what was measured: the activating tokens, the context tokens that matter, an example from the
 * strongest explanation fragment, and the output tokens whose logits the feature's direction raises most ("promotes"; through the
 * unembedding alone). Says so where only a longer context would explain the activation.
 */
export function describe(findings: Findings, wording: Wording): string {
  // The separator's text (`<|endoftext|>`) says nothing to a reader: it is named in words, and left out of lists.
  const shown: Wording = { token: (id) => (id === findings.documentStart ? '' : wording.token(id)), decode: (ids) => wording.decode(ids) };
  const main = mainClause(findings, shown);
  const example = exampleClause(findings, wording);
  const promoted = mergeSpellings(findings.topLogits.slice(0, 6).map(({ id, value }) => ({ text: shown.token(id), weight: value }))).slice(0, 4);
  const promotes = promoted.length === 0 ? '' : `; promotes ${listed(promoted, 'and')}`;
  for (const text of [`${main}${example}${promotes}`, `${main}${promotes}`, main]) if (text.length <= LENGTH) return text;
  return `${main.slice(0, LENGTH - 1).trimEnd()}…`;
}

function mainClause({ salient: everySalient, unexplained, alone, longestContext, documentStart }: Findings, wording: Wording): string {
  const separators = [...everySalient.map(({ pruned }) => pruned.target), ...unexplained].filter((t) => t.tokens[0] === documentStart);
  const salient = everySalient.filter(({ pruned }) => pruned.tokens[0] !== documentStart);
  const single = salient.filter(({ literals }) => literals.length === 1 && literals[0] === 0);
  const inContext = salient.filter(({ literals }) => literals.length > 1 && literals[0] === 0);
  const contextOnly = salient.filter(({ literals }) => literals[0] !== 0);
  const clauses: { weight: number; text: string }[] = [];
  const add = (weight: number, text: string | null): void => {
    if (text !== null && weight > 0) clauses.push({ weight, text });
  };
  if (single.length > 0) {
    const observed = activating(single.map(({ pruned }) => pruned.target), wording);
    // Tokens only seen to fire alone are named after those seen in text: together they weigh as much as one of them.
    const smallest = Math.min(...observed.map(({ weight }) => weight)) / (alone.length + 1);
    const known = new Set(observed.map(({ text }) => text));
    const others = alone.slice(0, 12).map(({ token }) => ({ text: wording.token(token), weight: smallest })).filter(({ text }) => !known.has(text));
    const phrase = tokenPhrase([...observed, ...others], 4);
    add(mass(single), phrase === null ? null : /^["']/.test(phrase) ? `the token${phrase.includes('" or ') || phrase.includes(', ') ? 's' : ''} ${phrase}` : phrase);
  }
  if (inContext.length > 0) {
    const tokens = tokenPhrase(activating(inContext.map(({ pruned }) => pruned.target), wording), 3);
    const context = contextPhrase(inContext, wording);
    add(mass(inContext), tokens === null || context === null ? tokens : `${tokens} after ${context}`);
  }
  if (contextOnly.length > 0) {
    const context = contextPhrase(contextOnly, wording);
    add(mass(contextOnly), context === null ? null : `text after ${context}`);
  }
  const first = unexplained.filter((t) => t.tokens[0] !== documentStart && nearStart(t));
  const longer = unexplained.filter((t) => t.tokens[0] !== documentStart && !nearStart(t));
  add(weightOf(separators), 'the separator before a text');
  add(weightOf(first), 'the first tokens of a text');
  if (longer.length > 0) {
    const tokens = tokenPhrase(activating(longer, wording), 3);
    add(weightOf(longer), tokens === null ? null : `${tokens} where the last ${longestContext} tokens alone do not suffice`);
  }
  if (clauses.length === 0) return 'tokens that cannot be shown as text';
  clauses.sort((a, b) => b.weight - a.weight);
  const total = clauses.reduce((sum, c) => sum + c.weight, 0);
  return clauses.filter((c, i) => i === 0 || c.weight >= 0.25 * total).slice(0, 2).map((c) => c.text).join(', or ');
}

/** Context tokens nearest first; ` …` when something stands between them and the activating token. */
function contextPhrase(items: readonly Salient[], wording: Wording): string | null {
  const nearest = items.map(({ pruned, literals }) => {
    const position = literals.find((p) => p > 0)!;
    return { text: wording.token(pruned.tokens[position]), weight: pruned.target.activation, position };
  });
  const phrase = tokenPhrase(sumByText(nearest), 3);
  if (phrase === null) return null;
  const apart = nearest.filter(({ position }) => position > 1).length * 2 > nearest.length;
  return apart ? `${phrase} …` : phrase;
}

function exampleClause({ salient, unexplained }: Findings, wording: Wording): string {
  const all = [...salient.map(({ pruned }) => pruned.target), ...unexplained];
  if (all.length === 0) return '';
  const strongest = all.reduce((a, b) => (b.activation > a.activation ? b : a));
  if (strongest.tokens.length < 2) return '';
  const text = wording.decode(strongest.tokens.slice(0, 7).toReversed()).replaceAll(/\s+/gu, ' ').replaceAll(/[\uFFFD\p{Cc}\p{Co}]/gu, '').trim();
  return text === '' ? '' : `, as in ${quoted(text.slice(-60))}`;
}

function activating(targets: readonly Target[], wording: Wording): WeightedText[] {
  return sumByText(targets.map((t) => ({ text: wording.token(t.tokens[0]), weight: t.activation })));
}

function sumByText(tokens: readonly WeightedText[]): WeightedText[] {
  const sums = new Map<string, number>();
  for (const { text, weight } of tokens) sums.set(text, (sums.get(text) ?? 0) + weight);
  return [...sums].map(([text, weight]) => ({ text, weight })).sort((a, b) => b.weight - a.weight);
}

function weightOf(targets: readonly Target[]): number {
  return targets.reduce((sum, t) => sum + t.activation, 0);
}

function mass(items: readonly Salient[]): number {
  return items.reduce((sum, { pruned }) => sum + pruned.target.activation, 0);
}
