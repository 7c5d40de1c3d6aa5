import { CallerError } from '../domain/errors.ts';
import { TOP_LEVEL } from '../interp/discretise.ts';
import { expectedActivations } from '../interp/expectedActivations.ts';
import { jsonLevels } from '../interp/jsonLevels.ts';
import { showFragment } from '../interp/prompts/showFragment.ts';
import type { TokenWording } from '../interp/prompts/showFragment.ts';
import { SIMULATE_ALL_AT_ONCE, simulateAllAtOnce } from '../interp/prompts/simulateAllAtOnce.ts';
import { SIMULATE_JSON, SIMULATE_JSON_SCHEMA, simulateJson, simulateJsonReply } from '../interp/prompts/simulateJson.ts';
import type { BadReplyLog } from '../ports/BadReplyLog.ts';
import type { ChatModel } from '../ports/ChatModel.ts';
import type { RequestSize } from '../ports/RequestSize.ts';
import type { Tokenizer } from '../ports/Tokenizer.ts';
import { askAll } from './ask/askAll.ts';
import { askUntilParsed } from './ask/askUntilParsed.ts';
import { LEVEL_PROBE, topLevelOf } from './levelProbe.ts';
import { promptBytes } from './promptBytes.ts';
import type { Described, ReadingCounts, Simulator } from './simulationScorer.ts';
import { wordingOf } from './tokenWording.ts';

export interface LlmSimulatorInput {
  readonly chat: ChatModel;
  /** Of the subject model: what the fragments' ids say. */
  readonly tokenizer: Tokenizer;
  /** `logprobs`: what the judge expects inside the prompt (Bills et al. 2023, all at once). `json`: what it writes. */
  readonly instrument: 'logprobs' | 'json';
  readonly badReplies: BadReplyLog;
  readonly seed: number;
}

/** Alternatives asked for at every token; Bills et al. 2023 ask for 15, and servers give up to 20. */
const ALTERNATIVES = 20;

type Counts = { -readonly [K in keyof ReadingCounts]: number };

/** What one fragment came to: a value per token of it, or why there is none. */
type Predicted = { readonly value: Float32Array } | { readonly bad: string };

/**
 * A language model that predicts a feature's activations from its description, one request per fragment. Values are on the
 * 0–10 scale. A reply without sense is recorded and asked again; when none came, the whole task fails, with the reason: a score
 * over fewer fragments would not be comparable.
 * Throws UNSUPPORTED for `logprobs` where the judge does not show what it expects inside a prompt.
 */
export function llmSimulator(input: LlmSimulatorInput): Simulator & { readonly counts: ReadingCounts } {
  const { chat, tokenizer, instrument } = input;
  if (instrument === 'logprobs' && !chat.abilities.promptLogprobs) {
    throw new CallerError('UNSUPPORTED', `the judge ${chat.name} gives no log-probabilities of prompt tokens, which simulation by log-probabilities needs; take the instrument "json", or a server that echoes prompts with log-probabilities (vLLM, llama.cpp)`);
  }
  const wording = wordingOf(tokenizer);
  const counts: Counts = { tokens: 0, folded: 0, unread: 0 };
  const topLevel = topLevelOf(chat);
  const promptVersion = instrument === 'logprobs' ? SIMULATE_ALL_AT_ONCE : SIMULATE_JSON;

  const predict = async (task: Described, shown: readonly string[]): Promise<Predicted> =>
    instrument === 'logprobs' ? readAllAtOnce(input, task, shown, await topLevel(), counts) : writeJson(input, task, shown);

  return {
    name: chat.name,
    instrument: instrument === 'logprobs' ? 'simulation' : 'simulation-json',
    promptVersion,
    parameters: { judge: chat.identity, promptVersion, instrument },
    counts,
    simulates: () => true,
    async simulate(task, fragments) {
      const predictions = await askAll(fragments.length, async (i): Promise<Predicted> => {
        const ids = fragments[i];
        const { texts, places } = rowsOf(ids, wording);
        const predicted = await predict(task, texts);
        return 'bad' in predicted ? predicted : { value: Float32Array.from(ids, (_, t) => predicted.value[places[t]]) };
      });
      return 'bad' in predictions ? { failed: predictions.bad } : predictions.value;
    },
    plan(task, fragments) {
      return fragments.map((ids): RequestSize => {
        const { texts } = rowsOf(ids, wording);
        if (instrument === 'json') {
          const { expected, most } = simulateJsonReply(texts);
          return { promptBytes: promptBytes(simulateJson(task.description, texts), JSON.stringify(SIMULATE_JSON_SCHEMA)), maxTokens: most, expectedTokens: expected };
        }
        const { messages, continuation } = simulateAllAtOnce(task.description, texts, TOP_LEVEL);
        // One small request more learns how the judge's tokenizer writes levels; it is asked once and counted with each fragment.
        return { promptBytes: promptBytes(messages, continuation) + promptBytes(LEVEL_PROBE.messages, LEVEL_PROBE.continuation), maxTokens: 1, expectedTokens: 0 };
      });
    },
  };
}

/**
 * What a prompt shows of a fragment, and the row of every token: tokens that are a character only together share one.
 * showFragment gives the highest level of joined tokens, so levels that count up tell where each row ends.
 */
function rowsOf(ids: readonly number[], wording: TokenWording): { texts: readonly string[]; places: readonly number[] } {
  const rows = showFragment(ids, ids.map((_, t) => t), wording);
  const places: number[] = [];
  rows.forEach((row, r) => {
    while (places.length <= row.level) places.push(r);
  });
  return { texts: rows.map((row) => row.text), places };
}

async function readAllAtOnce({ chat, badReplies }: LlmSimulatorInput, task: Described, shown: readonly string[], top: number, counts: Counts): Promise<Predicted> {
  const { messages, continuation, rows } = simulateAllAtOnce(task.description, shown, top);
  const { tokens } = await chat.readPrompt({ messages, continuation, topLogprobs: ALTERNATIVES });
  const reading = expectedActivations(continuation, rows, tokens, top);
  if ('bad' in reading) {
    // The same reading would come again: it is recorded, and not asked for a second time.
    await badReplies.record({ feature: task.index, promptVersion: SIMULATE_ALL_AT_ONCE, model: chat.name, attempt: 0, reason: reading.bad, reply: tokens.map((token) => token.text).join('').slice(0, 2000) });
    return reading;
  }
  counts.tokens += rows.length;
  counts.folded += reading.folded;
  counts.unread += reading.unread;
  return { value: reading.values.map((level) => (level * TOP_LEVEL) / top) };
}

async function writeJson({ chat, badReplies, seed }: LlmSimulatorInput, task: Described, shown: readonly string[]): Promise<Predicted> {
  const asking = { chat, badReplies, feature: task.index, promptVersion: SIMULATE_JSON };
  const request = { messages: simulateJson(task.description, shown), maxTokens: simulateJsonReply(shown).most, temperature: 0, seed, schema: SIMULATE_JSON_SCHEMA };
  return askUntilParsed(asking, { ...request, ...(chat.abilities.replyLogprobs ? { topLogprobs: ALTERNATIVES } : {}) }, ({ text, finish, tokens }) =>
    finish === 'length' ? { bad: 'cut off at its greatest length' } : jsonLevels(text, shown, tokens),
  );
}
