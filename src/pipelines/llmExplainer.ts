import { createHash } from 'node:crypto';
import { explainSubject } from '../interp/prompts/explainSubject.ts';
import type { ExplainSubject, SubjectOptions } from '../interp/prompts/explainSubject.ts';
import type { ExplainPrompt } from '../interp/prompts/explainPrompt.ts';
import { EXPLAIN_PROMPTS } from '../interp/prompts/methods.ts';
import type { LlmMethod } from '../interp/prompts/methods.ts';
import { readExplanation } from '../interp/prompts/readExplanation.ts';
import { shownText } from '../interp/prompts/shownText.ts';
import { Rng } from '../math/rng.ts';
import type { BadReplyLog } from '../ports/BadReplyLog.ts';
import type { ChatModel } from '../ports/ChatModel.ts';
import type { ExplainAttempt, Explainer, ExplainTask } from '../ports/Explainer.ts';
import type { RequestSize } from '../ports/RequestSize.ts';
import type { Tokenizer } from '../ports/Tokenizer.ts';
import { askUntilParsed, ATTEMPTS } from './ask/askUntilParsed.ts';
import { boundedParallel } from './boundedParallel.ts';
import { promptBytes } from './promptBytes.ts';
import { wordingOf } from './tokenWording.ts';

export { isLlmMethod, LLM_METHODS } from '../interp/prompts/methods.ts';
export type { LlmMethod } from '../interp/prompts/methods.ts';

export interface LlmExplainerInput {
  readonly method: LlmMethod;
  readonly chat: ChatModel;
  /** Of the subject model: what its tokens look like. */
  readonly tokenizer: Tokenizer;
  readonly badReplies: BadReplyLog;
  readonly seed: number;
  /** Default 1, as Bills et al. */
  readonly temperature?: number;
  /** Fragments shown of those a task holds; default 20, more than the protocols give. */
  readonly maxFragments?: number;
  /** Most tokens of a reply; default the prompt's (60). More for models that write their thoughts before they answer. */
  readonly maxTokens?: number;
  /** Fragments that are not valid text; default `escape`. The paper leaves them out. */
  readonly undecodable?: SubjectOptions['undecodable'];
}

/** Features whose prompts are held at once: more than any server is asked at a time, few enough for memory and for the event loop. */
const IN_FLIGHT = 256;
/** About what a one-sentence answer has, in tokens. */
const EXPECTED_TOKENS = 25;

/**
 * Asks a language model what a feature is about. One request per feature and attempt; the features of a call are under way together,
 * the chat model bounds how many are asked at a time. When one throws, those under way come to their end first: what was paid for
 * reaches the cache. A reply that is no explanation is recorded and asked again; after the last attempt the feature has
 * failed, with the last reason.
 */
export function llmExplainer(input: LlmExplainerInput): Explainer {
  const { method, chat, tokenizer, badReplies, seed } = input;
  const { temperature = 1, maxFragments = 20, undecodable = 'escape' } = input;
  const prompt = EXPLAIN_PROMPTS[method];
  const maxTokens = input.maxTokens ?? prompt.maxTokens;
  const wording = wordingOf(tokenizer);
  const subjectOf = (task: ExplainTask): ReturnType<typeof explainSubject> => explainSubject(task, wording, { maxFragments, undecodable });

  const explainOne = async (task: ExplainTask): Promise<ExplainAttempt> => {
    const { index } = task;
    const subject = subjectOf(task);
    if ('bad' in subject) return { kind: 'failed', index, reason: subject.bad };
    const messages = prompt.render(subject);
    const request = { messages, maxTokens, temperature, seed: seedOf(seed, prompt.version, index) };
    const parsed = await askUntilParsed({ chat, badReplies, feature: index, promptVersion: prompt.version }, request, (reply) =>
      readExplanation(reply, { messages, beginning: prompt.beginning }),
    );
    return 'bad' in parsed ? { kind: 'failed', index, reason: parsed.bad } : { kind: 'explained', index, description: parsed.value, detail: null };
  };

  return {
    name: `${prompt.version}@${chat.name}`,
    model: chat.name,
    promptVersion: prompt.version,
    parameters: {
      method, promptVersion: prompt.version, promptHash: promptHash(prompt), chat: chat.identity, temperature, topP: 1, maxTokens, attempts: ATTEMPTS, maxFragments, undecodable,
      tokenizer: tokenizer.hash, seed,
    }, // prettier-ignore
    async explain(tasks: readonly ExplainTask[]): Promise<readonly ExplainAttempt[]> {
      const attempts: ExplainAttempt[] = [];
      await boundedParallel(tasks.length, IN_FLIGHT, async (i) => {
        attempts[i] = await explainOne(tasks[i]);
      });
      return attempts;
    },
    plan: (tasks: readonly ExplainTask[]): readonly RequestSize[] =>
      tasks.flatMap((task) => {
        const subject = subjectOf(task);
        if ('bad' in subject) return [];
        return [{ promptBytes: promptBytes(prompt.render(subject)), maxTokens, expectedTokens: Math.min(EXPECTED_TOKENS, maxTokens) }];
      }),
  };
}

/** A feature has its own seed, whatever else is asked beside it; 31 bits less the attempts, which servers take as a signed integer. */
function seedOf(seed: number, version: string, index: number): number {
  return Rng.derive(seed, 'explain', version, index).uint32() >>> 2;
}

/** Between them they show every part of a prompt: a sparse subject at the edge of being so, a dense one, marks, odd characters. */
const PROBES: readonly ExplainSubject[] = [16, 15].map((length) => ({
  fragments: [Array.from({ length }, (_, i) => ({ text: shownText(i === 0 ? 'One\n\t\\«\uFFFD<|' : ` token${i}`), level: [2, 3, 10][i] ?? 0 }))],
  promoted: [' more'],
  suppressed: [],
}));

/** sha-256 of the prompt as fixed subjects have it: the same as long as the text and the way tokens are shown are. */
export function promptHash(prompt: ExplainPrompt): string {
  return createHash('sha256').update(JSON.stringify(PROBES.map((probe) => prompt.render(probe)))).digest('hex');
}
