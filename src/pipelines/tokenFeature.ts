import { basisDictionary, basisDirection } from '../causal/basisDirection.ts';
import { formatAddress } from '../domain/address.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import { CallerError, invariant } from '../domain/errors.ts';
import { Rng } from '../math/rng.ts';
import type { Artefacts } from '../ports/Artefacts.ts';
import type { Progress } from '../ports/Progress.ts';
import type { SubjectModel } from '../ports/SubjectModel.ts';
import type { Tokenizer } from '../ports/Tokenizer.ts';
import type { TokenFeatureData } from '../ports/TokenFeatureReport.ts';
import type { TokenRows } from '../ports/TokenRows.ts';
import { readText, type ReadText } from './readText.ts';
import { describeFeature, tokensOfPattern, type StudyOptions } from './tokenFeatureDescribe.ts';
import { ablationEffects, type EffectTask } from './tokenFeatureEffects.ts';
import { readStudied, type StudiedFeature } from './tokenFeatureRead.ts';
import { searchPattern, type DetectingFeature } from './tokenFeatureSearch.ts';
import { compilePattern, type PatternChoice } from './tokenPattern.ts';

/** By what features are ranked: F1 at the best threshold, F1 at the threshold given, mean activation on the pattern. */
export const PATTERN_RANKINGS = ['best-f1', 'f1', 'mean'] as const;
export type PatternRanking = (typeof PATTERN_RANKINGS)[number];

export interface TokenFeatureOptions extends StudyOptions {
  readonly rank: PatternRanking;
  /** Features of the ranking that are studied when none are given; default 1. */
  readonly best: number;
  /** Features of a ranking that are kept; default 20. */
  readonly ranked: number;
  /** Tokens of the rows that are ablated, for each direction; default 16 384. */
  readonly effectTokens: number;
  /** Which of the dimensions a feature reads most it is compared with; default 1, the first. */
  readonly basisRank: number;
  readonly batchTokens: number;
  readonly checkpointSeconds: number;
}

export const TOKEN_FEATURE_DEFAULTS: TokenFeatureOptions = {
  rank: 'best-f1', best: 1, ranked: 20, effectTokens: 16_384, basisRank: 1, batchTokens: 4096, checkpointSeconds: 20,
  threshold: 0, effectThreshold: 0.1, bins: 10, topTokens: 6, listed: 15, contexts: 6,
}; // prettier-ignore

export interface TokenFeatureInput {
  readonly model: SubjectModel;
  readonly tokenizer: Tokenizer;
  /** What is searched with a pattern, and what the features given belong to. */
  readonly dictionaries: readonly DictionaryWeights[];
  readonly features: readonly { readonly dictionary: string; readonly index: number }[];
  readonly pattern: PatternChoice | null;
  readonly tokens: TokenRows;
  /** Rows that are read, ascending. */
  readonly rows: Uint32Array;
  readonly artefacts: Artefacts;
  readonly progress: Progress;
  /** The run's own folder, which exists. */
  readonly dir: string;
  readonly seed: number;
  readonly options?: Partial<TokenFeatureOptions>;
}

/**
 * Case studies as in section 4 of Cunningham et al. 2023: finds the features that detect a pattern of tokens, or takes those
 * given, and tells of each on which tokens it is active, how purely it means the pattern, and what ablating it does to the
 * prediction of the true next token, beside the same of the dimension of the hook point that it reads most.
 *
 * Cost: with a pattern one forward run of the text up to the last dictionary, 2·F·D flops a token; another up to the studied features';
 * then for each of `effectTokens` tokens, feature and dimension a clean run and one from the feature's layer on, with logits.
 * Memory: 1.6 kB a feature searched; 5 bytes a token, and 8 more for each feature studied; the weights of the dictionaries.
 *
 * @throws BAD_INPUT (no feature and no pattern, a pattern that is none), NOT_FOUND (an unknown feature; a pattern that does not occur; nothing that detects it).
 */
export async function tokenFeature(input: TokenFeatureInput): Promise<Omit<TokenFeatureData, 'title' | 'facts'>> {
  const options = { ...TOKEN_FEATURE_DEFAULTS, ...input.options };
  const { model, tokenizer, dictionaries } = input;
  checkText(input);
  // Before the long passes, though needed after them.
  for (const weights of dictionaries) basisDirection(weights, 0, options.basisRank);
  const compiled = input.pattern === null ? null : compilePattern(input.pattern, tokenizer);
  if (compiled === null && input.features.length === 0) throw new CallerError('BAD_INPUT', 'nothing to study: give a feature, tokens or a pattern');
  const given = input.features.map((feature) => checkFeature(feature, input));
  const text = await readText(input.tokens, input.rows, compiled);
  const ranking = text.mask === null ? null : rankBy(await searchPattern({ ...input, ...options, text }), options.rank);
  const chosen = given.length > 0 ? given : (ranking ?? []).slice(0, options.best);
  if (chosen.length === 0) throw new CallerError('NOT_FOUND', 'no feature of these dictionaries is active on the pattern');

  const studied = chosen.map(({ dictionary, index }): StudiedFeature => {
    const weights = dictionaries.find(({ config }) => config.name === dictionary);
    invariant(weights !== undefined, 'a feature that was checked');
    return { weights, index, basis: basisDirection(weights, index, options.basisRank) };
  });
  const activations = await readStudied({ ...input, ...options, studied, text });
  const effectRows = Math.ceil(options.effectTokens / text.cols);
  const tasks = studied.flatMap(({ weights, index, basis }, i): EffectTask[] => {
    const key = `${weights.config.name}/${index}`;
    const rows = activeRows(activations[i].feature, text, effectRows, Rng.derive(input.seed, 'token-feature', key));
    return [
      { key, weights, index, rows, activations: activations[i].feature },
      { key: `${key} dimension`, weights: basisDictionary(weights, basis), index: 0, rows, activations: activations[i].basis },
    ];
  });
  const effects = await ablationEffects({ ...input, ...options, text, tasks });

  const named = new Set<number>();
  const addressOf = ({ dictionary, index }: { dictionary: string; index: number }): string => formatAddress({ model: model.info.name, dictionary, index });
  const reported = ({ dictionary, index, ...rest }: DetectingFeature) => ({ address: addressOf({ dictionary, index }), ...rest });
  const features = studied.map((one, i) => {
    const place = ranking === null ? -1 : ranking.findIndex(({ dictionary, index }) => dictionary === one.weights.config.name && index === one.index);
    const address = addressOf({ dictionary: one.weights.config.name, index: one.index });
    return describeFeature({ ...one, address, rank: options.basisRank, place: place < 0 ? null : place + 1, text, activations: activations[i], effects: { feature: effects[2 * i], basis: effects[2 * i + 1] }, tokenizer, named }, options);
  });
  const pattern = compiled === null || ranking === null ? null : {
    label: compiled.label,
    ...tokensOfPattern(text, options.listed, named),
    rankedBy: options.rank,
    ranking: ranking.slice(0, options.ranked).map(reported),
    byMean: rankBy(ranking, 'mean').slice(0, options.ranked).map(reported),
    featuresSearched: dictionaries.reduce((sum, { config }) => sum + config.nFeatures, 0),
  }; // prettier-ignore
  return { model: model.info.name, tokensRead: text.ids.length, effectThreshold: options.effectThreshold, pattern, features, texts: textsOf(named, tokenizer) };
}

/** How tokens look, by id; of tokens that look alike (a word's first piece and a later one, parts of characters) each with its id. */
function textsOf(ids: ReadonlySet<number>, tokenizer: Tokenizer): Record<string, string> {
  const alike = new Map<string, number>();
  for (const id of ids) alike.set(tokenizer.token(id), (alike.get(tokenizer.token(id)) ?? 0) + 1);
  const textOf = (id: number): string => (alike.get(tokenizer.token(id)) === 1 ? tokenizer.token(id) : `${tokenizer.token(id)} #${id}`);
  return Object.fromEntries([...ids].sort((a, b) => a - b).map((id) => [String(id), textOf(id)]));
}

function rankBy(found: readonly DetectingFeature[], by: PatternRanking): DetectingFeature[] {
  const valueOf = ({ best, purity, meanOnPattern }: DetectingFeature): number => (by === 'mean' ? meanOnPattern : ((by === 'f1' ? purity.f1 : best?.f1) ?? 0));
  // Features without a match would only fill the list.
  return found.filter(({ meanOnPattern }) => meanOnPattern > 0).sort((a, b) => valueOf(b) - valueOf(a) || b.meanOnPattern - a.meanOnPattern || (a.dictionary < b.dictionary ? -1 : a.dictionary > b.dictionary ? 1 : a.index - b.index));
}

/** At most `count` of the rows in which something is active, drawn at random, ascending. In all others ablation does nothing. */
function activeRows(activations: Float32Array, { rows, cols }: ReadText, count: number, rng: Rng): number[] {
  const active = Array.from(rows, (_, row) => row).filter((row) => activations.subarray(row * cols, (row + 1) * cols - 1).some((value) => value > 0));
  return rng.shuffle(active).slice(0, count).sort((a, b) => a - b);
}

function checkText({ model, tokens, rows, dictionaries }: TokenFeatureInput): void {
  if (rows.length === 0 || tokens.cols < 2) throw new CallerError('BAD_INPUT', 'no text to read: expected at least one row of two tokens');
  if (tokens.cols > model.info.contextLength) throw new CallerError('TEXT_TOO_LONG', `token rows have ${tokens.cols} tokens: model ${model.info.name} reads at most ${model.info.contextLength}`);
  if (tokens.tokenizerHash !== model.info.tokenizerHash) throw new CallerError('TOKENIZER_MISMATCH', `the token file was made with tokenizer ${tokens.tokenizerHash.slice(0, 12)}, model ${model.info.name} has ${model.info.tokenizerHash.slice(0, 12)}; tokenise the text again`);
  if (dictionaries.length === 0) throw new CallerError('BAD_INPUT', 'no dictionaries to look in');
}

function checkFeature(feature: { readonly dictionary: string; readonly index: number }, { dictionaries, model }: TokenFeatureInput): { dictionary: string; index: number } {
  const { dictionary, index } = feature;
  const found = dictionaries.find(({ config }) => config.name === dictionary);
  if (found === undefined) throw new CallerError('NOT_FOUND', `feature ${model.info.name}/${dictionary}/${index}: no such dictionary; there are ${dictionaries.map(({ config }) => config.name).join(', ')}`);
  if (!Number.isInteger(index) || index < 0 || index >= found.config.nFeatures) throw new CallerError('NOT_FOUND', `feature ${model.info.name}/${dictionary}/${index}: the dictionary has features 0 to ${found.config.nFeatures - 1}`);
  return { dictionary, index };
}
