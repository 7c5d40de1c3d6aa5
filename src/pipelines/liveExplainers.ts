import { CallerError } from '../domain/errors.ts';
import type { Exemplar } from '../domain/feature.ts';
import { PAPER_MIN_FRAGMENTS } from '../interp/eligibility.ts';
import type { AloneTable } from '../interp/pattern/aloneTable.ts';
import type { BadReplyLog } from '../ports/BadReplyLog.ts';
import type { ChatModel } from '../ports/ChatModel.ts';
import type { EmbeddingModel } from '../ports/EmbeddingModel.ts';
import type { ExplainFeatureRequest, FeatureExplainers } from '../ports/FeatureExplainers.ts';
import type { LiveModels } from '../ports/LiveModels.ts';
import { requestKey } from './ask/requestKey.ts';
import { explainFeatures } from './explainFeatures.ts';
import { methodIdentity, openExplainer, openScorers, planningExplainer, type MethodChoice, type MethodParts, type Subject } from './explainMethods.ts';
import { METHODS, SCORERS, isMethod, isScorer, modelsNeeded, scorersOf, type MethodName, type ScorerName } from './methodNames.ts';
import { readAlone } from './patternExplainer.ts';

/** Language models the server asks; through a cache, so that equal requests are paid for once. */
export interface LiveLanguageModels {
  readonly writer: ChatModel | null;
  readonly judge: ChatModel | null;
  readonly embeddings: EmbeddingModel | null;
}

export interface LiveExplainersInput {
  readonly live: LiveModels;
  /** Which language models are configured: without them nothing that needs them is offered. */
  readonly configured: { readonly writer: boolean; readonly judge: boolean; readonly embeddings: boolean };
  /** Opens them, when the first request needs one; a failure is told to that request, and the next tries again. */
  openModels(): Promise<LiveLanguageModels>;
  readonly badReplies: BadReplyLog;
  readonly codeVersion: string;
  readonly seed?: number;
  /** Dictionaries whose vocabulary readings are kept (2·V tokens to read one again), default 8. */
  readonly kept?: number;
}

const STAGE = 'explain-feature';
/** Raised when equal input no longer means equal output. */
const FORMAT_VERSION = 1;
/** Tokens of background the pattern explainer replaces tokens by: as many as the explain stage takes. */
const BACKGROUND_TOKENS = 8192;
const NO_MODELS: LiveLanguageModels = { writer: null, judge: null, embeddings: null };

/** Explains single features with the models the server has open: what the `explain` stage does, for one feature. */
export function liveExplainers(input: LiveExplainersInput): FeatureExplainers {
  const { live, configured, badReplies, codeVersion, seed = 0 } = input;
  const able = (needed: { readonly writer: boolean; readonly judge: boolean; readonly embeddings: boolean }): boolean =>
    (configured.writer || !needed.writer) && (configured.judge || !needed.judge) && (configured.embeddings || !needed.embeddings);
  const methods = METHODS.filter((method) => able({ writer: method !== 'pattern', judge: false, embeddings: false }));
  const scorers = SCORERS.filter((scorer) => able({ ...modelsNeeded({ method: 'pattern', scorers: [scorer] }), writer: false }));
  const alone = new Kept<AloneTable>(input.kept ?? 8);
  const opened = new Kept<LiveLanguageModels>(1);

  /** What a request asks of whom, with what it depends on. */
  const prepare = async (request: ExplainFeatureRequest) => {
    const choice: MethodChoice = { ...chosen(request, methods, scorers), calibrate: false, temperature: null, maxTokens: null, seed };
    const needed = modelsNeeded(choice);
    const asks = needed.writer || needed.judge || needed.embeddings;
    const [{ model, tokenizer }, dictionary] = await Promise.all([live.open(request.model), live.dictionary(request.model, request.dictionary)]);
    const parts: MethodParts = { tokenizer, badReplies, ...(asks ? await opened.get('models', () => input.openModels()) : NO_MODELS) };
    const params = { dictionary: `${request.model}/${request.dictionary}`, feature: request.feature.index, minFragments: PAPER_MIN_FRAGMENTS, ...methodIdentity(choice, parts) };
    const inputs = { model: model.info.weightsHash, tokenizer: tokenizer.hash, dictionary: dictionary.config.weightsHash, feature: requestKey(request.feature), background: requestKey(request.background) };
    const key = requestKey({ stage: STAGE, params, inputs, seed, formatVersion: FORMAT_VERSION });
    return { choice, parts, model, tokenizer, dictionary, run: { key, stage: STAGE, params, inputs, seed, codeVersion } };
  };

  return {
    methods,
    scorers,
    async identify(request) {
      const { choice, parts, run } = await prepare(request);
      return { explainer: planningExplainer(choice, parts).name, run: run.key };
    },
    async explain(request) {
      const startedAt = new Date().toISOString();
      const { choice, parts, model, tokenizer, dictionary, run } = await prepare(request);
      const background = backgroundOf(request);
      const table = async (): Promise<AloneTable> => alone.get(`${model.info.weightsHash} ${dictionary.config.weightsHash}`, () => readAlone({ model, tokenizer, dictionary }));
      const subject: Subject = {
        model, tokenizer, dictionary,
        tokens: () => Promise.resolve(background.flatMap(({ ids }) => [...ids]).slice(0, BACKGROUND_TOKENS)),
        fragments: () => Promise.resolve(request.background),
        ...(choice.method === 'pattern' ? { alone: await table() } : {}),
      }; // prettier-ignore
      const explainer = await openExplainer(choice, parts, subject);
      const [outcome] = await explainFeatures({ explainer, scorers: await openScorers(choice, parts, subject) }, [request.feature], PAPER_MIN_FRAGMENTS);
      return { run: { ...run, startedAt, finishedAt: new Date().toISOString(), metrics: { kind: outcome.kind } }, outcome };
    },
  };
}

/** The choice by names that are offered; throws BAD_INPUT for others. */
function chosen({ method, scorers }: ExplainFeatureRequest, methods: readonly MethodName[], offered: readonly ScorerName[]): { method: MethodName; scorers: readonly ScorerName[] } {
  if (!isMethod(method) || !methods.includes(method)) {
    throw new CallerError('BAD_INPUT', `method ${method}: expected one of ${methods.join(', ')}${methods.length === 1 ? ' (no language model is configured here: EXPLAIN_MODEL)' : ''}`, { field: ['method'] });
  }
  const wrong = scorers.find((name) => !isScorer(name) || !offered.includes(name));
  if (wrong !== undefined) throw new CallerError('BAD_INPUT', `scorer ${wrong}: expected some of ${offered.join(', ')}`, { field: ['scorers'] });
  return { method, scorers: scorersOf({ method, scorers: scorers.filter(isScorer) }) };
}

/** Where the catalog has no other features' fragments, the feature's own stand for the text. */
function backgroundOf({ background, feature }: ExplainFeatureRequest): readonly Exemplar[] {
  return background.length > 0 ? background : feature.exemplars;
}

/** Values made once and kept, least recently used first to go. Concurrent callers share one making; a failure is not kept. */
class Kept<T> {
  readonly #most: number;
  readonly #values: Map<string, Promise<T>> = new Map();

  constructor(most: number) {
    this.#most = most;
  }

  get(key: string, make: () => Promise<T>): Promise<T> {
    const value = this.#values.get(key) ?? make();
    this.#values.delete(key);
    this.#values.set(key, value);
    value.catch(() => {
      if (this.#values.get(key) === value) this.#values.delete(key);
    });
    for (const oldest of this.#values.keys()) {
      if (this.#values.size <= this.#most) break;
      this.#values.delete(oldest);
    }
    return value;
  }
}
