import type { ChatReply, ReadToken, TokenLogprob, Usage } from '../../ports/ChatModel.ts';
import { UselessBody } from './failures.ts';
import { placeTokens, type GivenToken } from './placeTokens.ts';

/** What servers say; nothing of it is sure. */
interface Choice {
  readonly message?: { readonly content?: unknown; readonly refusal?: unknown; readonly reasoning_content?: unknown; readonly reasoning?: unknown } | null;
  readonly finish_reason?: unknown;
  readonly logprobs?: { readonly content?: unknown } | null;
}

interface GivenLogprob extends GivenToken {
  readonly logprob: number;
  readonly top_logprobs?: readonly (GivenToken & { readonly logprob: number })[];
}

/** Least logarithm we let stand: servers write −Infinity or −9999 for what they did not compute, JSON has no −Infinity. */
const LEAST = -9999;

/** The reply in a chat completion. `bound`: the usage where the server tells none. Throws UselessBody. */
export function readChat(answer: unknown, bound: Usage): ChatReply {
  const choice = firstChoice(answer) as Choice;
  const { message } = choice;
  if (message === null || typeof message !== 'object') throw new UselessBody('the answer has no message');
  const refusal = typeof message.refusal === 'string' && message.refusal !== '' ? message.refusal : null;
  const text = refusal ?? textOf(message.content);
  const finish = refusal !== null || choice.finish_reason === 'content_filter' ? 'refused' : choice.finish_reason === 'length' ? 'length' : 'stop';
  if (choice.finish_reason === 'abort' || choice.finish_reason === 'error') throw new UselessBody('the server broke the answer off');
  const thoughts = textOf(message.reasoning_content) + textOf(message.reasoning);
  const said = { ...bound, completionTokens: Math.min(bound.completionTokens, Buffer.byteLength(text + thoughts) + 1) };
  return { text, finish, tokens: refusal === null ? tokensOf(choice.logprobs?.content, text) : null, usage: usageOf(answer, said) };
}

/** First entry of `choices`; throws UselessBody when there is none. */
export function firstChoice(answer: unknown): object {
  const choices = (answer as { choices?: unknown } | null)?.choices;
  const choice = Array.isArray(choices) ? (choices[0] as unknown) : undefined;
  if (typeof choice !== 'object' || choice === null) throw new UselessBody('the answer has no choices');
  return choice;
}

/** What the server counted; `bound` where it does not say. */
export function usageOf(answer: unknown, bound: Usage): Usage {
  const usage = (answer as { usage?: { prompt_tokens?: unknown; completion_tokens?: unknown } | null }).usage;
  const promptTokens = usage?.prompt_tokens;
  const completionTokens = usage?.completion_tokens ?? (usage === null || usage === undefined ? undefined : 0);
  return isCount(promptTokens) && isCount(completionTokens) ? { promptTokens, completionTokens, estimated: false } : bound;
}

/** A finite logarithm of a probability. */
export function logprobOf(value: unknown): number {
  return typeof value === 'number' && value > LEAST ? Math.min(value, 0) : LEAST;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Plain text, or the text parts of a list of parts. */
function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return (content as readonly { text?: unknown }[]).map((part) => (typeof part?.text === 'string' ? part.text : '')).join('');
}

function tokensOf(content: unknown, text: string): readonly ReadToken[] | null {
  if (!Array.isArray(content) || content.length === 0) return null;
  const given = content as readonly GivenLogprob[];
  if (!given.every((entry) => typeof entry?.token === 'string')) return null;
  const { offsets } = placeTokens(given, text);
  return given.map(({ token, logprob, top_logprobs }, i) => ({
    text: token,
    logprob: logprobOf(logprob),
    offset: offsets[i],
    top: likeliestFirst((top_logprobs ?? []).map((other) => ({ text: other.token, logprob: logprobOf(other.logprob) }))),
  }));
}

export function likeliestFirst(tokens: readonly TokenLogprob[]): readonly TokenLogprob[] {
  return tokens.toSorted((a, b) => b.logprob - a.logprob);
}
