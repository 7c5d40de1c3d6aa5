import type { DictionaryWeights } from '../domain/dictionary.ts';
import { CallerError, InvariantError, invariant } from '../domain/errors.ts';
import type { Exemplar } from '../domain/feature.ts';
import { WINDOW_TOKENS } from '../interp/detectionWindows.ts';
import type { AloneTable } from '../interp/pattern/aloneTable.ts';
import { PATTERN_SETTINGS } from '../interp/pattern/settings.ts';
import type { BadReplyLog } from '../ports/BadReplyLog.ts';
import type { ChatModel } from '../ports/ChatModel.ts';
import type { EmbeddingModel } from '../ports/EmbeddingModel.ts';
import type { Explainer } from '../ports/Explainer.ts';
import type { Scorer } from '../ports/Scorer.ts';
import type { SubjectModel } from '../ports/SubjectModel.ts';
import type { Tokenizer } from '../ports/Tokenizer.ts';
import { detectionScorer } from './detectionScorer.ts';
import { embeddingScorer } from './embeddingScorer.ts';
import { llmExplainer } from './llmExplainer.ts';
import { llmSimulator } from './llmSimulator.ts';
import { scorersOf, type MethodName, type MethodNames } from './methodNames.ts';
import { PATTERN_EXPLAINER, openPatternExplainer } from './patternExplainer.ts';
import { patternSimulator } from './patternSimulator.ts';
import type { ProbeCost } from './probeReader.ts';
import { SILENT_POOL_FRAGMENTS, openSilentWindows, type SilentWindows } from './silentWindows.ts';
import { simulationScorer, type ReadingCounts } from './simulationScorer.ts';

/** Stands for the windows where a run's identity is wanted: they follow from the analysis, which is another part of it. */
const NO_WINDOWS: SilentWindows = {
  length: WINDOW_TOKENS,
  size: 0,
  identity: `${SILENT_POOL_FRAGMENTS} fragments of the analysis in windows of ${WINDOW_TOKENS}`,
  of: () => {
    throw new InvariantError('bug: windows were asked for before they were opened');
  },
};

export interface MethodChoice extends MethodNames {
  /** Also scores of simulations calibrated on fragments that are not scored. */
  readonly calibrate: boolean;
  /** Of the model that writes; null = the method's own. */
  readonly temperature: number | null;
  /** Most tokens of a description's reply; null = the prompt's own. More for models that write their thoughts first. */
  readonly maxTokens: number | null;
  readonly seed: number;
}

/** Simulation by log-probabilities counts what could not be read. */
export type CountingScorer = Scorer & { readonly counts?: ReadingCounts };

/** What explainers and scorers are made of. Models that the choice does not need may be null. */
export interface MethodParts {
  readonly tokenizer: Tokenizer;
  readonly writer: ChatModel | null;
  readonly judge: ChatModel | null;
  readonly embeddings: EmbeddingModel | null;
  readonly badReplies: BadReplyLog;
}

/** The subject model and text of one dictionary, for what probes it or shows windows where features are silent. Read when needed. */
export interface Subject {
  readonly model: SubjectModel;
  readonly tokenizer: Tokenizer;
  readonly dictionary: DictionaryWeights;
  /** Tokens as they occur in the analysed text, some thousands. */
  tokens(): Promise<ArrayLike<number>>;
  /** What the pattern explainer learns about the whole vocabulary, where it was read before (readAlone). */
  readonly alone?: AloneTable;
  /** Fragments of the analysed text that were not drawn by the feature to be explained, some hundreds. */
  fragments(): Promise<readonly Exemplar[]>;
}

/** Name and parameters of what would explain and judge: what a run is known by. Opens and asks nothing. */
export function methodIdentity(choice: MethodChoice, parts: MethodParts): Readonly<Record<string, unknown>> {
  const { method, seed } = choice;
  const explainer = method === 'pattern' ? patternIdentity(seed) : writing(method, choice, parts);
  const scorers = judging(choice, parts, NO_WINDOWS);
  return {
    explainer: { name: explainer.name, ...explainer.parameters },
    scorers: scorers.map(({ name, judge, promptVersion, parameters }) => ({ name, judge, promptVersion, ...parameters })),
  };
}

/** The explainer; opening `pattern` reads the vocabulary once (2·V tokens through the subject model). */
export async function openExplainer(choice: MethodChoice, parts: MethodParts, subject: Subject): Promise<Explainer & { readonly cost?: ProbeCost }> {
  if (choice.method !== 'pattern') return writing(choice.method, choice, parts);
  const { model, tokenizer, dictionary, alone } = subject;
  return openPatternExplainer({ model, tokenizer, dictionary, background: await subject.tokens(), seed: choice.seed, ...(alone === undefined ? {} : { alone }) });
}

/** The explainer for planning requests: opens nothing. `pattern` plans none. */
export function planningExplainer(choice: MethodChoice, parts: MethodParts): Explainer {
  if (choice.method !== 'pattern') return writing(choice.method, choice, parts);
  const { name, parameters } = patternIdentity(choice.seed);
  return { name, model: null, promptVersion: null, parameters, explain: () => Promise.reject(new Error('opened for planning only')) };
}

/** The scorers, in the order they were chosen. Those that show windows where a feature is silent have them looked up once. */
export async function openScorers(choice: MethodChoice, parts: MethodParts, subject: Subject): Promise<readonly CountingScorer[]> {
  const shown = scorersOf(choice).some((name) => name === 'detection' || name === 'fuzzing' || name === 'embedding');
  return judging(choice, parts, shown ? await windowsOf(subject) : NO_WINDOWS);
}

function patternIdentity(seed: number): Pick<Explainer, 'name' | 'parameters'> {
  return { name: PATTERN_EXPLAINER, parameters: { settings: PATTERN_SETTINGS, seed } };
}

function writing(method: Exclude<MethodName, 'pattern'>, { seed, temperature, maxTokens }: MethodChoice, { writer, tokenizer, badReplies }: MethodParts): Explainer {
  invariant(writer !== null, `${method} without a model that writes`);
  return llmExplainer({ method, chat: writer, tokenizer, badReplies, seed, ...(temperature === null ? {} : { temperature }), ...(maxTokens === null ? {} : { maxTokens }) });
}

function judging(choice: MethodChoice, { judge, embeddings, tokenizer, badReplies }: MethodParts, silent: SilentWindows): readonly CountingScorer[] {
  const { seed, calibrate, method } = choice;
  const simulated = (instrument: 'logprobs' | 'json'): CountingScorer => {
    const chat = asked(judge);
    if (instrument === 'logprobs' && !chat.abilities.promptLogprobs) {
      throw new CallerError('UNSUPPORTED', `simulation by log-probabilities: ${chat.name} gives no log-probabilities of prompts; take --scorers simulation-json or detection, or a server that echoes prompts with log-probabilities (vLLM, llama.cpp)`);
    }
    return simulationScorer(llmSimulator({ chat, tokenizer, instrument, badReplies, seed }), seed, { calibrate });
  };
  return scorersOf(choice).map((name): CountingScorer => {
    switch (name) {
      case 'simulation':
        return method === 'pattern' ? simulationScorer(patternSimulator, seed, { calibrate }) : simulated('logprobs');
      case 'simulation-logprobs':
        return simulated('logprobs');
      case 'simulation-json':
        return simulated('json');
      case 'detection':
      case 'fuzzing':
        return detectionScorer({ kind: name, chat: asked(judge), tokenizer, silent, badReplies, seed });
      case 'embedding':
        invariant(embeddings !== null, 'embedding scorer without an embedding model');
        return embeddingScorer({ embeddings, tokenizer, silent, seed });
    }
  });
}

function asked(judge: ChatModel | null): ChatModel {
  invariant(judge !== null, 'a scorer that asks a language model without one');
  return judge;
}

async function windowsOf({ model, dictionary, fragments }: Subject): Promise<SilentWindows> {
  return openSilentWindows({ model, dictionary, fragments: await fragments(), length: WINDOW_TOKENS });
}
