import type { BadReplyLog } from '../../ports/BadReplyLog.ts';
import type { ChatModel, ChatReply, ChatRequest } from '../../ports/ChatModel.ts';

/** What a parser makes of a reply: the value, or the reason it is none (without numbers or names, so that reasons can be counted). */
export type Parsed<T> = { readonly value: T } | { readonly bad: string };

/** Times a request is asked before the feature is given up. */
export const ATTEMPTS = 3;
/** A repetition is asked at least this hot: at temperature 0 the same nonsense would come again. */
const REPEAT_TEMPERATURE = 0.7;

export interface Asking {
  readonly chat: ChatModel;
  readonly badReplies: BadReplyLog;
  /** Index of the feature, for the log. */
  readonly feature: number;
  readonly promptVersion: string;
}

/**
 * Asks until the reply makes sense, at most ATTEMPTS times. Every reply that does not is recorded; none becomes a value.
 * Failures of the connection are the ChatModel's to retry, and are thrown when it gave up.
 */
export async function askUntilParsed<T>(asking: Asking, request: Omit<ChatRequest, 'attempt'>, parse: (reply: ChatReply) => Parsed<T>): Promise<Parsed<T>> {
  const { chat, badReplies, feature, promptVersion } = asking;
  let bad = '';
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const temperature = attempt === 0 ? request.temperature : Math.max(request.temperature, REPEAT_TEMPERATURE);
    const reply = await chat.chat({ ...request, temperature, attempt, seed: request.seed + attempt });
    const parsed = reply.finish === 'refused' ? { bad: 'the model declined to answer' } : parse(reply);
    if ('value' in parsed) return parsed;
    bad = parsed.bad;
    await badReplies.record({ feature, promptVersion, model: chat.name, attempt, reason: bad, reply: reply.text.slice(0, 2000) });
  }
  return { bad };
}
