import { createHash } from 'node:crypto';
import { CallerError, OutsideError, messageOf } from '../../domain/errors.ts';
import { promptBound } from '../../interp/requestBound.ts';
import type { ChatAbilities, ChatModel, ChatReply, ChatRequest, PromptReading, PromptRequest, Usage } from '../../ports/ChatModel.ts';
import type { ReplyCache } from '../../ports/ReplyCache.ts';
import { Connection, type ConnectionOptions } from './connection.ts';
import { CHAT_PARAMETERS, READ_PARAMETERS, firstDialect, withoutInChat, withoutInRead, type Dialect } from './dialect.ts';
import { ParameterRefused, Withheld } from './failures.ts';
import { PLAIN_PROMPT, plainPrompt, readEcho } from './readPrompt.ts';
import { readChat } from './readReply.ts';

export interface OpenaiChatOptions extends ConnectionOptions {
  /** Known abilities; without them they are probed by two tiny requests. */
  readonly abilities?: ChatAbilities | undefined;
  /** Keeps what was probed, so that the next process does not probe again. */
  readonly cache?: Pick<ReplyCache, 'get' | 'put'> | undefined;
}

export interface OpenaiChat extends ChatModel {
  /** What probing cost; zero where nothing was probed. */
  readonly openingUsage: Usage;
}

const FREE: Usage = { promptTokens: 0, completionTokens: 0, estimated: false };
/** Prompts that say nothing, for finding out what the server can do. */
const PROBE: ChatRequest = { messages: [{ role: 'user', content: 'Say yes.' }], maxTokens: 16, temperature: 0, seed: 0, topLogprobs: 2, attempt: 0 };
const PROBE_PROMPT: PromptRequest = { messages: [{ role: 'user', content: 'One, two' }], continuation: 'three, four', topLogprobs: 2 };
const PROBE_RETRIES = 2;
/** More refusals than there are parameters to change. */
const MAX_CHANGES = 12;

/**
 * A chat model behind the OpenAI protocol: hosted, vLLM, llama.cpp and others. Parameters that the server refuses are left out or
 * changed from then on. Throws CallerError (BAD_CONFIG key or URL, NOT_FOUND model, LIMIT_EXCEEDED quota …) or OutsideError('openai')
 * when opening fails.
 */
export async function openChatModel(options: OpenaiChatOptions): Promise<OpenaiChat> {
  const connection = new Connection(options);
  const { model, cache } = options;
  const identity = { server: connection.server, model, plainPrompt: PLAIN_PROMPT };
  const speaker = new Speaker(connection, model);
  let abilities = options.abilities;
  let openingUsage = FREE;
  try {
    if (abilities === undefined) {
      const key = createHash('sha256').update(JSON.stringify(['openai-abilities-v1', identity])).digest('hex'); // prettier-ignore
      const kept = ((await cache?.get(key)) ?? null) as { abilities: ChatAbilities; dialect: Dialect } | null;
      if (kept !== null) {
        abilities = kept.abilities;
        speaker.dialect = kept.dialect;
      } else {
        const probed = await probe(speaker, options.say);
        ({ abilities, openingUsage } = probed);
        if (probed.sure) await cache?.put(key, { abilities, dialect: speaker.dialect });
      }
    }
  } catch (error) {
    connection.close();
    throw error;
  }
  return {
    name: model,
    identity,
    abilities,
    concurrency: connection.concurrency,
    openingUsage,
    chat: (request) => speaker.chat(request),
    readPrompt: (request) => speaker.readPrompt(request),
    async close() {
      connection.close();
    },
  };
}

/** Says requests in the server's dialect, and learns it on the way. */
class Speaker {
  readonly #connection: Connection;
  readonly #model: string;
  dialect: Dialect;

  constructor(connection: Connection, model: string) {
    this.#connection = connection;
    this.#model = model;
    this.dialect = firstDialect(connection.server);
  }

  async chat(request: ChatRequest): Promise<ChatReply> {
    const { messages, maxTokens, schema, attempt } = request;
    const bound: Usage = { promptTokens: promptBound(messages.map(({ content }) => content), schema === undefined ? '' : JSON.stringify(schema)), completionTokens: maxTokens, estimated: true }; // prettier-ignore
    try {
      return await this.#learning(
        () => this.#connection.post({ path: '/chat/completions', body: chatBody(this.#model, request, this.dialect), attempt, bound, parameters: CHAT_PARAMETERS, read: (answer) => readChat(answer, bound) }),
        (dialect, refused) => withoutInChat(dialect, refused, request),
      );
    } catch (error) {
      if (error instanceof Withheld) return { text: error.message, finish: 'refused', tokens: null, usage: { ...bound, completionTokens: 0 } };
      throw error;
    }
  }

  async readPrompt({ messages, continuation, topLogprobs }: PromptRequest, maxRetries?: number): Promise<PromptReading> {
    const prompt = plainPrompt(messages);
    const bound: Usage = { promptTokens: promptBound([prompt, continuation]), completionTokens: 1, estimated: true };
    return await this.#learning(
      () => {
        const { readTokens, topLogprobs: most } = this.dialect;
        const body = { model: this.#model, prompt: prompt + continuation, max_tokens: readTokens, echo: true, logprobs: Math.min(topLogprobs, most) };
        return this.#connection.post({ path: '/completions', body, attempt: 0, bound, parameters: READ_PARAMETERS, maxRetries, read: (answer) => readEcho(answer, prompt, continuation, bound) });
      },
      (dialect, refused) => withoutInRead(dialect, refused, topLogprobs),
    );
  }

  /** Repeats with another dialect while parameters are refused. */
  async #learning<T>(ask: () => Promise<T>, without: (dialect: Dialect, refused: string) => Dialect | null): Promise<T> {
    for (let changes = 0; ; changes++) {
      const spoken = this.dialect;
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof ParameterRefused) || changes === MAX_CHANGES) throw error;
        // Another request may have learned the same meanwhile: then this one is only said again.
        if (this.dialect !== spoken) continue;
        const next = without(spoken, error.parameter);
        if (next === null) throw error;
        this.dialect = next;
      }
    }
  }
}

function chatBody(model: string, { messages, maxTokens, temperature, seed, schema, topLogprobs }: ChatRequest, dialect: Dialect): object {
  const wanted = topLogprobs !== undefined && topLogprobs > 0 && dialect.logprobs;
  return {
    model,
    messages,
    ...Object.fromEntries(dialect.limits.map((name) => [name, maxTokens])),
    ...(dialect.temperature ? { temperature } : {}),
    ...(dialect.seed ? { seed } : {}),
    ...(wanted ? { logprobs: true, top_logprobs: Math.min(topLogprobs, dialect.topLogprobs) } : {}),
    ...(schema === undefined || dialect.schema === 'none' ? {} : { response_format: dialect.schema === 'object' ? { type: 'json_object' } : { type: 'json_schema', json_schema: { ...schema, strict: dialect.schema === 'strict' } } }),
  };
}

/** Some servers fail with 500 at what they cannot do, such as saying nothing: few repetitions, and the second time a token may be said. */
async function probeReading(speaker: Speaker): Promise<PromptReading> {
  try {
    return await speaker.readPrompt(PROBE_PROMPT, PROBE_RETRIES);
  } catch (error) {
    if (!(error instanceof OutsideError)) throw error;
    speaker.dialect = { ...speaker.dialect, readTokens: 1 };
    return await speaker.readPrompt(PROBE_PROMPT, PROBE_RETRIES);
  }
}

interface Probed {
  readonly abilities: ChatAbilities;
  readonly openingUsage: Usage;
  /** False where a failure that may pass stood in the way: not to be kept. */
  readonly sure: boolean;
}

/** Two tiny requests. A server that serves neither throws what it said to the first; one that serves one is used for that. */
async function probe(speaker: Speaker, say: OpenaiChatOptions['say']): Promise<Probed> {
  let refused: CallerError | null = null;
  let chat: ChatReply | null = null;
  try {
    chat = await speaker.chat(PROBE);
  } catch (error) {
    if (!(error instanceof CallerError && (error.code === 'BAD_INPUT' || error.code === 'UNSUPPORTED'))) throw error;
    refused = error; // a model without a chat template may still read prompts
  }
  let reading: PromptReading | null = null;
  let sure = true;
  try {
    reading = await probeReading(speaker);
  } catch (error) {
    if (refused !== null) throw refused;
    if (error instanceof OutsideError) {
      sure = false;
      say?.(`could not find out whether prompts can be read: ${messageOf(error)}; taken as no`);
    } else if (!(error instanceof CallerError)) throw error;
  }
  const usages = [chat?.usage ?? FREE, reading?.usage ?? FREE];
  return {
    abilities: {
      promptLogprobs: reading !== null && reading.tokens.some(({ top }) => top.length > 0),
      replyLogprobs: chat?.tokens?.some(({ top }) => top.length > 0) ?? false,
    },
    openingUsage: { promptTokens: usages[0].promptTokens + usages[1].promptTokens, completionTokens: usages[0].completionTokens + usages[1].completionTokens, estimated: usages.some(({ estimated }) => estimated) },
    sure,
  };
}
