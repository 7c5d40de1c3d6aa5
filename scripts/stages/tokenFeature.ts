import { join } from 'node:path';
import { htmlTokenFeatureReport } from '../../src/adapters/report/tokenFeatureReport.ts';
import { parseAddress } from '../../src/domain/address.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { Rng } from '../../src/math/rng.ts';
import { runStage, type StageResult } from '../../src/pipelines/runStage.ts';
import { tokenFeature, type TokenFeatureOptions } from '../../src/pipelines/tokenFeature.ts';
import { compilePattern, type PatternChoice } from '../../src/pipelines/tokenPattern.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import type { TokenFeatureData } from '../../src/ports/TokenFeatureReport.ts';
import type { Tokenizer } from '../../src/ports/Tokenizer.ts';
import type { LocatedModel, Workspace } from '../workspace.ts';
import { openDictionaries, type SetMember } from './dictionarySet.ts';
import type { TextSource } from './textSources.ts';
import { tokensStage, withTokens } from './tokens.ts';

export interface TokenFeatureChoice {
  readonly set: string;
  /** Dictionaries instead of a set. */
  readonly dictionaries: readonly string[];
  /** Feature addresses. */
  readonly features: readonly string[];
  readonly pattern: PatternChoice | null;
  /** Text to read; null = the one that was analysed, where it can be rows that training left. */
  readonly text: TextSource | null;
  /** Tokens per row of that text. */
  readonly context: number;
  readonly tokensRead: number;
  readonly seed: number;
}

const DATA = 'token-feature.ndjson';
const FIGURES = { linear: 'token-feature.html', log: 'token-feature-log.html' } as const;
type Scale = keyof typeof FIGURES;

/** Studies the features chosen, or those that detect a pattern; returns what was found, with where it lies. */
export async function tokenFeatureStage(workspace: Workspace, located: LocatedModel, model: SubjectModel, tokenizer: Tokenizer, choice: TokenFeatureChoice, options: TokenFeatureOptions): Promise<StageResult & { readonly found: TokenFeatureData; readonly figures: Readonly<Record<Scale, string>> }> {
  const { runs, artefacts, progress } = workspace;
  const { pattern, seed } = choice;
  // A pattern that is none is said before anything is opened.
  if (pattern !== null) compilePattern(pattern, tokenizer);
  const features = choice.features.map((address) => featureOf(located, address));
  const members = await membersOf(workspace, located, choice, features.map(({ dictionary }) => dictionary));
  const { dir, from } = await textOf(workspace, members, choice, tokenizer, model.info.vocabSize);
  return withTokens(dir, async (tokens) => {
    const first = from < tokens.rows ? from : 0;
    if (first < from) progress.say(`token-feature: training took all ${tokens.rows} rows of the text, so rows are read that dictionaries were trained on`);
    const rows = Rng.derive(seed, 'token-feature').permutation(tokens.rows - first).slice(0, Math.ceil(choice.tokensRead / tokens.cols)).sort().map((row) => first + row);
    const { batchTokens: _, checkpointSeconds: __, ...params } = options;
    const inputs = { ...Object.fromEntries(members.map(({ name, weights }) => [name, weights.config.weightsHash])), model: model.info.weightsHash, tokenizer: tokenizer.hash, tokens: tokens.hash };
    const dictionaries = members.map(({ weights }) => weights);
    const result = await runStage({ store: runs, progress }, { stage: 'token-feature', params: { ...params, features: choice.features, pattern, dictionaries: members.map(({ name }) => name), from: first, rows: rows.length }, inputs, seed }, async (run) => {
      const started = performance.now();
      const data = await tokenFeature({ model, tokenizer, dictionaries, features, pattern, tokens, rows, artefacts, progress, dir: run.dir, seed, options });
      const found: TokenFeatureData = {
        ...data,
        title: data.pattern === null ? `What ${choice.features.join(', ')} means and does` : `Features for ${data.pattern.label}`,
        facts: factsOf(members, { rows: rows.length, first, all: tokens.rows }, { ...choice, ...options }, run.key),
      };
      await artefacts.writeRecords(join(run.dir, DATA), [found]);
      for (const scale of Object.keys(FIGURES) as Scale[]) await htmlTokenFeatureReport().write(join(run.dir, FIGURES[scale]), found, scale);
      return { features: data.features.map(({ address }) => address), tokens: data.tokensRead, file: DATA, figures: FIGURES, seconds: (performance.now() - started) / 1000 };
    });
    for await (const found of artefacts.readRecords<TokenFeatureData>(join(result.dir, DATA))) return { ...result, found, figures: { linear: join(result.dir, FIGURES.linear), log: join(result.dir, FIGURES.log) } };
    throw new CallerError('STALE_OUTPUT', `${join(result.dir, DATA)} is empty: delete ${result.dir} and run the command again`);
  });
}

function featureOf(located: LocatedModel, address: string): { dictionary: string; index: number } {
  const { model, dictionary, index } = parseAddress(address);
  if (model !== located.name) throw new CallerError('BAD_INPUT', `feature ${address}: expected one of model ${located.name}`);
  return { dictionary, index };
}

/** With a pattern the set or the dictionaries named, and always those of the features. */
async function membersOf(workspace: Workspace, located: LocatedModel, { set, dictionaries, pattern }: TokenFeatureChoice, ofFeatures: readonly string[]): Promise<SetMember[]> {
  const searched = pattern === null && ofFeatures.length > 0 ? [] : await openDictionaries(workspace, located.name, set, dictionaries);
  const known = new Set(searched.map(({ name }) => name));
  const others = [...new Set(ofFeatures)].filter((name) => !known.has(name));
  return [...searched, ...(others.length === 0 ? [] : await openDictionaries(workspace, located.name, set, others))];
}

/** Folder of the token rows, and the first that training did not take. */
async function textOf(workspace: Workspace, members: readonly SetMember[], { text, context }: TokenFeatureChoice, tokenizer: Tokenizer, vocabSize: number): Promise<{ dir: string; from: number }> {
  if (text !== null) return { dir: (await tokensStage(workspace, text, tokenizer, vocabSize, { context, maxTokens: null })).dir, from: 0 };
  const texts = new Set(members.map(({ current }) => current.analysedTokens ?? current.tokens));
  if (texts.size !== 1) throw new CallerError('BAD_INPUT', 'the dictionaries were made from or analysed on different texts: give one with --text');
  const [run] = texts;
  const from = Math.max(...members.map(({ current }) => (current.analysedTokens === undefined ? current.trainRows : 0)));
  return { dir: join(workspace.config.home, run!), from };
}

function factsOf(members: readonly SetMember[], { rows, first, all }: { rows: number; first: number; all: number }, { seed, threshold, effectThreshold, effectTokens }: TokenFeatureChoice & TokenFeatureOptions, key: string): [string, string][] {
  return [
    ['dictionaries', members.map(({ name, weights }) => `${name} (${weights.config.nFeatures} features)`).join(', ')],
    ['text', `${rows} rows drawn at random from rows ${first} to ${all} of the token file${first > 0 ? ', which training left' : ''}`],
    ['threshold asked for', `activation above ${threshold}, for purity; active elsewhere is an activation above 0`],
    ['ablation', `x ← x − c f at every position of at most ${effectTokens} tokens, in rows drawn at random of those where the feature is active; in all other rows its effect is exactly 0. The dimension beside it is ablated in the same rows, though it is active in others too`],
    ['effect', `log p(clean) − log p(ablated) of the true next token in nats, at positions from the row's first activation on; beyond ±${effectThreshold} it is counted`],
    ['chosen on the same text', 'best thresholds, the ranking and which next tokens are listed were chosen by the numbers shown, so these flatter them somewhat; intervals take positions as independent'],
    ['seed', String(seed)],
    ['run', key],
  ];
}
