/** One turn of a conversation. */
export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

export interface ChatRequest {
  readonly messages: readonly ChatMessage[];
  /** Most tokens of the reply. */
  readonly maxTokens: number;
  /** 0 = the likeliest token each time. */
  readonly temperature: number;
  /** Passed on where the model can be seeded. */
  readonly seed: number;
  /** The reply is asked to be JSON of this schema (JSON Schema), where the model can be held to one. */
  readonly schema?: { readonly name: string; readonly schema: Readonly<Record<string, unknown>> };
  /** Alternatives wanted per token of the reply, 0 to 20; ignored where `abilities.replyLogprobs` is false. */
  readonly topLogprobs?: number;
  /** 0 for the first time of asking; a repetition after a reply that made no sense has the next number, so that it is another request. */
  readonly attempt: number;
}

/** A conversation whose last, unfinished turn is given too: what the model thinks of each of its tokens is wanted, nothing new. */
export interface PromptRequest {
  readonly messages: readonly ChatMessage[];
  /** Beginning of the assistant's turn; the reading covers its tokens. */
  readonly continuation: string;
  /** Alternatives wanted per token, 1 to 20. */
  readonly topLogprobs: number;
}

export interface TokenLogprob {
  readonly text: string;
  /** Natural logarithm of the probability, at most 0. */
  readonly logprob: number;
}

/** A token with what else might have stood in its place, likeliest first. */
export interface ReadToken extends TokenLogprob {
  /** Place of its first character in the text read (UTF-16 units). */
  readonly offset: number;
  readonly top: readonly TokenLogprob[];
}

/** What a request cost. */
export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** True where the server did not say and the numbers are upper bounds of ours. */
  readonly estimated: boolean;
}

export interface ChatReply {
  readonly text: string;
  /** `length`: cut off at maxTokens; `refused`: withheld by the server's filter or declined. */
  readonly finish: 'stop' | 'length' | 'refused';
  /** The reply token by token; null where not asked for or not given. */
  readonly tokens: readonly ReadToken[] | null;
  readonly usage: Usage;
}

export interface PromptReading {
  /** Tokens that begin inside the continuation, in order. */
  readonly tokens: readonly ReadToken[];
  readonly usage: Usage;
}

export interface ChatAbilities {
  /** `readPrompt` works. */
  readonly promptLogprobs: boolean;
  /** Replies can carry alternatives per token. */
  readonly replyLogprobs: boolean;
}

/** A language model that is asked for words: over HTTP, or on this host. Safe to call concurrently; how many run at once is its own matter. */
export interface ChatModel {
  /** Name for people and for the catalog, e.g. `gpt-4o-mini`; no secrets. */
  readonly name: string;
  /** Everything its replies depend on besides the request (model, place, revision), JSON, no secrets: part of a request's identity. */
  readonly identity: Readonly<Record<string, unknown>>;
  readonly abilities: ChatAbilities;
  /** Requests it sends at once; it holds the rest back. Absent where that is of no interest. */
  readonly concurrency?: number;
  /** Throws OutsideError when no answer came after all retries, CallerError where the request cannot be served at all. */
  chat(request: ChatRequest): Promise<ChatReply>;
  readPrompt(request: PromptRequest): Promise<PromptReading>;
  close(): Promise<void>;
}
