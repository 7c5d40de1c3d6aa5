import type { FeatureAddress } from '../domain/address.ts';
import { formatAddress } from '../domain/address.ts';
import { CallerError, invariant } from '../domain/errors.ts';
import type { Exemplar, ExemplarKind, FeatureAnalysis } from '../domain/feature.ts';
import type { CatalogReader, DictionaryRow, ExplanationRow } from '../ports/CatalogReader.ts';
import type { CatalogWriter } from '../ports/CatalogWriter.ts';
import type { FeatureExplainers } from '../ports/FeatureExplainers.ts';
import { exemplarAsAnalysed, featureAsAnalysed } from './asAnalysed.ts';
import type { FeatureView } from './features.ts';
import { Gate } from './gate.ts';
import { LIMITS } from './limits.ts';

export interface ExplainFeatureInput {
  readonly feature: FeatureAddress;
  /** Null = the server's default. */
  readonly method: string | null;
  /** Empty = those that fit the method. */
  readonly scorers: readonly string[];
}

/** Either an explanation, with the feature as it now is, or why the explainer left the feature out. */
export type ExplainedFeature =
  | { readonly kind: 'explained'; readonly row: ExplanationRow; readonly view: FeatureView }
  | { readonly kind: 'skipped'; readonly reason: string };

export interface ExplainServiceParts {
  readonly reader: Pick<CatalogReader, 'dictionaries' | 'features' | 'exemplars' | 'explanations' | 'skips'>;
  readonly writer: Pick<CatalogWriter, 'saveExplanation' | 'saveSkip'>;
  readonly explainers: FeatureExplainers;
}

export interface ExplainService {
  readonly methods: readonly string[];
  readonly scorers: readonly string[];
  /**
   * Explains one feature, judges the explanation and stores both with their run, in place of what the same explainer said
   * before; what the same run stored already is answered as it is. A reason to leave the feature out is stored where the same
   * explainer has no explanation of it. One feature of a model at a time; a few more wait, others are refused with BUSY. Equal requests at the same time are one.
   * Throws CallerError (BAD_INPUT, NOT_FOUND, UNSUPPORTED, MODEL_UNAVAILABLE, BUSY) that names the field.
   */
  explain(input: ExplainFeatureInput): Promise<ExplainedFeature>;
}

const KINDS: readonly ExemplarKind[] = ['top', 'quantile', 'random'];
/** More than the analysis keeps of any kind. */
const ALL = 10_000;

export function createExplainService({ reader, writer, explainers }: ExplainServiceParts): ExplainService {
  const gates = new Map<string, Gate>();
  const underWay = new Map<string, Promise<ExplainedFeature>>();
  return {
    methods: explainers.methods,
    scorers: explainers.scorers,
    async explain(input) {
      const asked = { feature: input.feature, method: methodOf(explainers, input.method), scorers: scorersOf(explainers, input.scorers) };
      const dictionary = await dictionaryOf(reader, asked.feature);
      const key = JSON.stringify([formatAddress(asked.feature), dictionary.weightsHash, asked.method, asked.scorers]);
      let running = underWay.get(key);
      if (running === undefined) {
        const { model } = asked.feature;
        const gate = gates.get(model) ?? new Gate(LIMITS.explainRunning, LIMITS.explainWaiting);
        gates.set(model, gate);
        running = gate.run(() => explainNow({ reader, writer, explainers }, dictionary, asked)).finally(() => underWay.delete(key));
        underWay.set(key, running);
      }
      return running;
    },
  };
}

async function explainNow(
  { reader, writer, explainers }: ExplainServiceParts,
  dictionary: DictionaryRow,
  { feature: { model, index }, method, scorers }: { readonly feature: FeatureAddress; readonly method: string; readonly scorers: readonly string[] },
): Promise<ExplainedFeature> {
  const feature = await analysisOf(reader, dictionary, index);
  const background = await backgroundOf(reader, dictionary, index);
  const request = { model, dictionary: dictionary.name, feature, background, method, scorers };
  const identity = await explainers.identify(request);
  const before = await storedOf(reader, dictionary, index, identity);
  if (before !== null) return before;

  const { run, outcome } = await explainers.explain(request);
  const target = { model, dictionary: dictionary.name, weightsHash: dictionary.weightsHash };
  try {
    if (outcome.kind === 'skipped') {
      await writer.saveSkip(target, run, { index, explainer: identity.explainer, reason: outcome.reason });
      return { kind: 'skipped', reason: outcome.reason };
    }
    const { explanation } = outcome;
    invariant(explanation.index === index, `asked to explain feature ${index}, the explainer answered for ${explanation.index}`);
    invariant(explanation.explainer === identity.explainer, `asked ${identity.explainer} to explain, ${explanation.explainer} answered`);
    await writer.saveExplanation(target, run, explanation);
  } catch (error) {
    if (!(error instanceof CallerError) || (error.code !== 'STALE_OUTPUT' && error.code !== 'NOT_FOUND')) throw error;
    throw replaced(dictionary, error);
  }
  const stored = await storedOf(reader, dictionary, index, { ...identity, run: run.key });
  if (stored === null) throw replaced(dictionary);
  return stored;
}

interface Identity {
  readonly explainer: string;
  readonly run: string;
}

/** What the catalog holds of the feature that this explainer said in this run. */
async function storedOf(reader: ExplainServiceParts['reader'], dictionary: DictionaryRow, index: number, { explainer, run }: Identity): Promise<ExplainedFeature | null> {
  const said = (one: Identity): boolean => one.explainer === explainer && one.run === run;
  const keys = [{ dictionaryId: dictionary.id, index }];
  const [[row], [explanations], [skips]] = await Promise.all([reader.features(keys), reader.explanations(keys), reader.skips(keys)]);
  const explanation = explanations?.find(said);
  if (row !== null && row !== undefined && explanation !== undefined) return { kind: 'explained', row: explanation, view: { dictionary, row } };
  const skip = skips?.find(said);
  return skip === undefined ? null : { kind: 'skipped', reason: skip.reason };
}

function replaced({ model, name }: DictionaryRow, cause?: unknown): CallerError {
  return new CallerError('BUSY', `dictionary ${model}/${name} was replaced while its feature was explained: try again`, { cause, field: ['feature'] });
}

function methodOf({ methods }: FeatureExplainers, asked: string | null): string {
  const [first] = methods;
  if (first === undefined) throw new CallerError('UNSUPPORTED', 'this server explains nothing on demand', { field: ['method'] });
  if (asked === null) return first;
  if (!methods.includes(asked)) throw new CallerError('BAD_INPUT', `unknown method ${JSON.stringify(asked)}: this server has ${methods.join(', ')}`, { field: ['method'] });
  return asked;
}

/** Each once, in the server's order, so that equal requests are equal. */
function scorersOf({ scorers }: FeatureExplainers, asked: readonly string[]): readonly string[] {
  for (const [i, name] of asked.entries()) {
    if (!scorers.includes(name)) {
      throw new CallerError('BAD_INPUT', `unknown scorer ${JSON.stringify(name)}: this server has ${scorers.join(', ')}`, { field: ['scorers', String(i)] });
    }
  }
  return scorers.filter((name) => asked.includes(name));
}

async function dictionaryOf(reader: ExplainServiceParts['reader'], { model, dictionary: name }: FeatureAddress): Promise<DictionaryRow> {
  const found = (await reader.dictionaries({ model, names: [name] })).find((row) => row.model === model && row.name === name);
  if (found === undefined) throw new CallerError('NOT_FOUND', `the catalog has no dictionary ${model}/${name}`, { field: ['feature'] });
  if (found.analyseRun === null) {
    throw new CallerError('UNSUPPORTED', `dictionary ${model}/${name} was not analysed, so there is no text to explain its features from: analyse and load it first`, { field: ['feature'] });
  }
  return found;
}

/** The feature with all its exemplars, as the analysis left it. */
async function analysisOf(reader: ExplainServiceParts['reader'], dictionary: DictionaryRow, index: number): Promise<FeatureAnalysis> {
  const key = { dictionaryId: dictionary.id, index };
  const [[row], [exemplars]] = await Promise.all([reader.features([key]), reader.exemplars([key], KINDS, ALL)]);
  if (row === null || row === undefined) {
    throw new CallerError('NOT_FOUND', `dictionary ${dictionary.model}/${dictionary.name} has no feature ${index}: it has 0 to ${dictionary.nFeatures - 1}`, { field: ['feature'] });
  }
  const { density, maxActivation, meanActivation, histogram, topLogits, bottomLogits, neighbours } = row;
  return featureAsAnalysed({ index, density, maxActivation, meanActivation, histogram, topLogits, bottomLogits, neighbours, exemplars: exemplars ?? [] });
}

/** Random fragments of the first other features, none twice; the same for every feature but for its own. */
async function backgroundOf(reader: ExplainServiceParts['reader'], { id, nFeatures }: DictionaryRow, index: number): Promise<readonly Exemplar[]> {
  const indices = Array.from({ length: Math.min(nFeatures, LIMITS.backgroundFeatures) }, (_, i) => i).filter((i) => i !== index);
  const lists = await reader.exemplars(indices.map((other) => ({ dictionaryId: id, index: other })), ['random'], ALL);
  const found = new Map<string, Exemplar>();
  for (const exemplar of lists.flat()) {
    const place = `${exemplar.row} ${exemplar.start}`;
    if (!found.has(place)) found.set(place, exemplarAsAnalysed(exemplar));
  }
  return [...found.values()];
}
