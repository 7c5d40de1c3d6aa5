import { CallerError } from '../../domain/errors.ts';
import type { PromptReading, PromptRequest, ReadToken, Usage } from '../../ports/ChatModel.ts';
import { UselessBody } from './failures.ts';
import { placeTokens } from './placeTokens.ts';
import { firstChoice, likeliestFirst, logprobOf, usageOf } from './readReply.ts';

/** Version of `plainPrompt`: what a reading depends on besides model and messages. */
export const PLAIN_PROMPT = 'blank-lines-v1';

/** A conversation as plain text, for models that complete text: what was said, with a blank line between turns; ends where the continuation begins. */
export function plainPrompt(messages: PromptRequest['messages']): string {
  return messages.map(({ content }) => `${content}\n\n`).join('');
}

interface GivenLogprobs {
  readonly tokens?: unknown;
  readonly token_logprobs?: unknown;
  readonly top_logprobs?: unknown;
}

/**
 * The reading in a completion that echoes its prompt (legacy completions with echo and logprobs, as Bills et al. 2023 simulate all
 * activations at once): tokens that begin inside the continuation. Throws UselessBody, and UNSUPPORTED when what is echoed is not the prompt.
 */
export function readEcho(answer: unknown, prompt: string, continuation: string, bound: Usage): PromptReading {
  const choice = firstChoice(answer) as { readonly text?: unknown; readonly logprobs?: GivenLogprobs | null };
  const { tokens, token_logprobs: logprobs, top_logprobs: tops } = choice.logprobs ?? {};
  if (!Array.isArray(tokens) || !Array.isArray(logprobs)) throw noEcho('no probabilities');
  if (!tokens.every((token) => typeof token === 'string') || tokens.length !== logprobs.length) throw new UselessBody('probabilities and tokens of the answer do not belong together');
  const whole = prompt + continuation;
  const said = typeof choice.text === 'string' && choice.text.startsWith(whole) ? choice.text : whole;
  const { offsets, end } = placeTokens(tokens.map((token) => ({ token })), said); // prettier-ignore
  if (end < whole.length) throw noEcho(`tokens that spell ${end} of its ${whole.length} characters`);
  const read: ReadToken[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const offset = offsets[i] - prompt.length;
    if (offset < 0 || offset >= continuation.length) continue;
    read.push({ text: tokens[i], logprob: logprobOf(logprobs[i]), offset, top: likeliestFirst(topOf(Array.isArray(tops) ? tops[i] : null)) });
  }
  return { tokens: read, usage: usageOf(answer, bound) };
}

/** Alternatives as an object of token to logarithm. */
function topOf(top: unknown): { text: string; logprob: number }[] {
  if (typeof top !== 'object' || top === null) return [];
  return Object.entries(top).map(([text, logprob]) => ({ text, logprob: logprobOf(logprob) }));
}

function noEcho(found: string): CallerError {
  return new CallerError('UNSUPPORTED', `reading a prompt: expected a server that echoes the prompt with a probability for each of its tokens (vLLM does), found ${found}; use an instrument that needs no probabilities of prompts`);
}
