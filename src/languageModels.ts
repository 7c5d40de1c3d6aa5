import { basename, join, resolve } from 'node:path';
import { openReplyCache } from './adapters/files/replyCache.ts';
import { isFolder } from './adapters/hub/sourceFolder.ts';
import { openTokenizer } from './adapters/tokenizers/openTokenizer.ts';
import type { Config } from './config.ts';
import { CallerError } from './domain/errors.ts';
import type { Budget } from './pipelines/ask/budget.ts';
import { cachedChat } from './pipelines/ask/cachedChat.ts';
import { cachedEmbeddings } from './pipelines/ask/cachedEmbeddings.ts';
import { liveExplainers, type LiveLanguageModels } from './pipelines/liveExplainers.ts';
import { UnderWay } from './pipelines/underWay.ts';
import type { BadReplyLog } from './ports/BadReplyLog.ts';
import type { ChatModel, Usage } from './ports/ChatModel.ts';
import type { EmbeddingModel } from './ports/EmbeddingModel.ts';
import type { FeatureExplainers } from './ports/FeatureExplainers.ts';
import type { LiveModels } from './ports/LiveModels.ts';
import type { ReplyCache } from './ports/ReplyCache.ts';

/** Language models of the command line and of the server, composed of the adapters. */
export interface LanguageModels {
  readonly writer: ChatModel | null;
  readonly judge: ChatModel | null;
  readonly embeddings: EmbeddingModel | null;
  /** Replies paid for, under CATALOG_HOME/replies. Null when no model is open. */
  readonly cache: ReplyCache | null;
  readonly payer: Payer;
  close(): Promise<void>;
}

/** Who pays for what does not go through cachedChat. */
export interface Payer {
  /** Counts sendings whose answer was lost; null = nobody does. */
  budget: Budget | null;
  /** What probing servers cost when they were opened; taken out by who counts it. */
  opening: Usage[];
}

/** By name; null where none is wanted. `local:FOLDER` runs an instruct model from disk, any other name is a model of the server. */
export interface LanguageModelNames {
  readonly writer: string | null;
  readonly judge: string | null;
  readonly embeddings: string | null;
}

export type LanguageModelHost = Pick<Config, 'home' | 'languageModels' | 'device' | 'workers'>;

const LOCAL = 'local:';
const HOSTED = 'https://api.openai.com/v1';

/** Names as chosen, else as the environment says; throws BAD_INPUT for one that is needed and not known. */
export function chosenModels(
  needed: { readonly writer: boolean; readonly judge: boolean; readonly embeddings: boolean },
  chosen: { readonly llm: string | null; readonly judge: string | null; readonly embeddingModel: string | null },
  { explainModel, judgeModel, embeddingModel }: Config['languageModels'],
): LanguageModelNames {
  const writer = chosen.llm ?? explainModel ?? null;
  const judge = chosen.judge ?? judgeModel ?? writer;
  const embeddings = chosen.embeddingModel ?? embeddingModel ?? null;
  const how = 'give --llm NAME with OPENAI_BASE_URL set to an OpenAI-compatible server, or --llm local:FOLDER for an instruct model on disk, or set EXPLAIN_MODEL';
  if (needed.writer && writer === null) throw new CallerError('BAD_INPUT', `this explainer asks a language model, and none was named: ${how}. --explainer pattern needs none`);
  if (needed.judge && judge === null) throw new CallerError('BAD_INPUT', `these scorers ask a language model, and none was named: give --judge NAME, or ${how}`);
  if (needed.embeddings && embeddings === null) throw new CallerError('BAD_INPUT', 'the embedding scorer asks an embedding model, and none was named: give --embedding-model NAME, or set EMBEDDING_MODEL');
  return { writer: needed.writer ? writer : null, judge: needed.judge ? judge : null, embeddings: needed.embeddings ? embeddings : null };
}

export interface LanguageModelOptions {
  /** Requests to a server at once. */
  readonly concurrency: number;
  /** For a whole answer; default 120,000. */
  readonly timeoutMs?: number;
  /** One line for people, when everything waits for a server. */
  readonly say?: (line: string) => void;
}

/**
 * Opens the models named, each once. What a server can do is probed by two tiny requests when it is first met, and kept in the reply
 * cache. The caller asks the models through cachedChat with `cache`, and closes them when nothing is under way.
 */
export async function openLanguageModels(host: LanguageModelHost, names: LanguageModelNames, options: LanguageModelOptions): Promise<LanguageModels> {
  const none = names.writer === null && names.judge === null && names.embeddings === null;
  const cache = none ? null : await openReplyCache(join(host.home, 'replies'));
  const payer: Payer = { budget: null, opening: [] };
  const context: Opening = { host, cache, payer, options };
  const opened = new Map<string, ChatModel>();
  const chat = async (name: string): Promise<ChatModel> => {
    const known = opened.get(name);
    if (known !== undefined) return known;
    const model = name.startsWith(LOCAL) ? await openLocal(name.slice(LOCAL.length), host) : await openServed(name, context);
    opened.set(name, model);
    return model;
  };
  let embeddings: Awaited<ReturnType<typeof openEmbedding>> | null = null;
  const close = async (): Promise<void> => {
    for (const model of opened.values()) await model.close();
    embeddings?.close();
    await cache?.close();
  };
  try {
    const writer = names.writer === null ? null : await chat(names.writer);
    const judge = names.judge === null ? null : await chat(names.judge);
    if (names.embeddings !== null) embeddings = await openEmbedding(names.embeddings, context);
    return { writer, judge, embeddings, cache, payer, close };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Opening {
  readonly host: LanguageModelHost;
  readonly cache: ReplyCache | null;
  readonly payer: Payer;
  readonly options: LanguageModelOptions;
}

function connectionOf(model: string, { host, payer, options: { concurrency, say, timeoutMs } }: Opening) {
  const onLost = async (usage: Usage, again: boolean): Promise<void> => payer.budget?.lost(usage, again);
  return { ...serverOf(host, model), model, concurrency, say, timeoutMs, onLost };
}

// The clients are loaded when one is wanted: most commands ask no language model.

async function openServed(name: string, opening: Opening): Promise<ChatModel> {
  const { openChatModel } = await import('./adapters/openai/openaiChat.ts');
  const chat = await openChatModel({ ...connectionOf(name, opening), ...(opening.cache === null ? {} : { cache: opening.cache }) });
  opening.payer.opening.push(chat.openingUsage);
  return chat;
}

async function openEmbedding(name: string, opening: Opening): Promise<EmbeddingModel & { close(): void }> {
  const { openEmbeddingModel } = await import('./adapters/openai/openaiEmbeddings.ts');
  return openEmbeddingModel(connectionOf(name, opening));
}

function serverOf({ languageModels: { baseUrl, apiKey } }: LanguageModelHost, name: string): { baseUrl: string; apiKey: string | undefined } {
  if (baseUrl === undefined && apiKey === undefined) {
    throw new CallerError('BAD_INPUT', `no server is known for the model ${name}: set OPENAI_BASE_URL (e.g. http://127.0.0.1:8000/v1) or OPENAI_API_KEY, or name an instruct model on disk as local:FOLDER`);
  }
  return { baseUrl: baseUrl ?? HOSTED, apiKey };
}

async function openLocal(path: string, { device }: LanguageModelHost): Promise<ChatModel> {
  const folder = resolve(path);
  if (!(await isFolder(folder))) throw new CallerError('NOT_FOUND', `${LOCAL}${path}: expected the folder of an instruct model (config.json, safetensors, tokenizer.json, a chat template); there is no such folder`);
  const [{ openGenerator }, { openChatTemplate }, { localChat }] = await Promise.all([import('./adapters/ort/openGenerator.ts'), import('./adapters/tokenizers/chatTemplate.ts'), import('./pipelines/localChat.ts')]);
  const [tokenizer, template] = await Promise.all([openTokenizer(folder), openChatTemplate(folder)]);
  // One worker with all cores serves several requests together; each more would hold its own copy of the weights.
  const generator = await openGenerator(folder, { name: basename(folder), device });
  return localChat({ generator, tokenizer, template, name: basename(folder) });
}

export interface ServerExplainersOptions {
  readonly live: LiveModels;
  readonly codeVersion: string;
  readonly badReplies: BadReplyLog;
  readonly say?: (line: string) => void;
}

/** Requests of the server to its language model at once. */
const SERVER_CONCURRENCY = 8;

/**
 * Explainers of single features for the server, with the language models that the environment names. Those are opened by the first
 * request that needs one, so that the server starts without them. `close` waits for what is under way.
 */
export function openServerExplainers(host: LanguageModelHost, { live, codeVersion, badReplies, say }: ServerExplainersOptions): { readonly explainers: FeatureExplainers; close(): Promise<void> } {
  const { explainModel, judgeModel, embeddingModel } = host.languageModels;
  const names: LanguageModelNames = { writer: explainModel ?? null, judge: judgeModel ?? explainModel ?? null, embeddings: embeddingModel ?? null };
  const underWay = new UnderWay();
  let opened: LanguageModels | null = null;
  const explainers = liveExplainers({
    live, codeVersion, badReplies,
    configured: { writer: names.writer !== null, judge: names.judge !== null, embeddings: names.embeddings !== null },
    async openModels() {
      opened = await openLanguageModels(host, names, { concurrency: SERVER_CONCURRENCY, ...(say === undefined ? {} : { say }) });
      return cachedModels(opened, underWay);
    },
  }); // prettier-ignore
  return {
    explainers,
    async close() {
      await underWay.settled();
      await opened?.close();
    },
  };
}

/** The models through their cache, within a budget where there is one; `underWay` hears of every request. */
export function cachedModels({ writer, judge, embeddings, cache }: LanguageModels, underWay: UnderWay, budget?: Budget): LiveLanguageModels {
  if (cache === null) return { writer: null, judge: null, embeddings: null };
  const asked = (chat: ChatModel | null): ChatModel | null => (chat === null ? null : underWay.chat(cachedChat(chat, cache, budget)));
  const writing = asked(writer);
  // One model for both is one cache of requests under way.
  return { writer: writing, judge: judge === writer ? writing : asked(judge), embeddings: embeddings === null ? null : underWay.embeddings(cachedEmbeddings(embeddings, cache, budget)) };
}
