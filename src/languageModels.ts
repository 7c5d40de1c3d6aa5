import { basename, join, resolve } from 'node:path';
import { openReplyCache } from './adapters/files/replyCache.ts';
import { isFolder } from './adapters/hub/sourceFolder.ts';
import { openTokenizer } from './adapters/tokenizers/openTokenizer.ts';
import type { Config } from './config.ts';
import { CallerError } from './domain/errors.ts';
import type { ChatModel } from './ports/ChatModel.ts';
import type { EmbeddingModel } from './ports/EmbeddingModel.ts';
import type { ReplyCache } from './ports/ReplyCache.ts';

/** Language models of the command line and of the server, composed of the adapters. */
export interface LanguageModels {
  readonly writer: ChatModel | null;
  readonly judge: ChatModel | null;
  readonly embeddings: EmbeddingModel | null;
  /** Replies paid for, under CATALOG_HOME/replies. Null when no model is open. */
  readonly cache: ReplyCache | null;
  close(): Promise<void>;
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

/** Opens the models named, each once; nothing is asked before their first use, but what probing their abilities takes. */
export async function openLanguageModels(host: LanguageModelHost, names: LanguageModelNames, concurrency: number): Promise<LanguageModels> {
  const opened = new Map<string, ChatModel>();
  const chat = async (name: string): Promise<ChatModel> => {
    const known = opened.get(name);
    if (known !== undefined) return known;
    const model = name.startsWith(LOCAL) ? await openLocal(name.slice(LOCAL.length), host) : await openServed(name, host, concurrency);
    opened.set(name, model);
    return model;
  };
  const closeModels = async (): Promise<void> => {
    for (const model of opened.values()) await model.close();
  };
  try {
    const writer = names.writer === null ? null : await chat(names.writer);
    const judge = names.judge === null ? null : await chat(names.judge);
    const embeddings = names.embeddings === null ? null : await openEmbedding(names.embeddings, host, concurrency);
    const cache = writer === null && judge === null && embeddings === null ? null : await openReplyCache(join(host.home, 'replies'));
    return {
      writer,
      judge,
      embeddings,
      cache,
      async close() {
        await closeModels();
        await cache?.close();
      },
    };
  } catch (error) {
    await closeModels();
    throw error;
  }
}

// The clients are loaded when one is wanted: most commands ask no language model.

async function openServed(name: string, host: LanguageModelHost, concurrency: number): Promise<ChatModel> {
  const { openChatModel } = await import('./adapters/openai/openaiChat.ts');
  return openChatModel({ ...serverOf(host, name), model: name, concurrency });
}

async function openEmbedding(name: string, host: LanguageModelHost, concurrency: number): Promise<EmbeddingModel> {
  const { openEmbeddingModel } = await import('./adapters/openai/openaiEmbeddings.ts');
  return openEmbeddingModel({ ...serverOf(host, name), model: name, concurrency });
}

function serverOf({ languageModels: { baseUrl, apiKey } }: LanguageModelHost, name: string): { baseUrl: string; apiKey: string | undefined } {
  if (baseUrl === undefined && apiKey === undefined) {
    throw new CallerError('BAD_INPUT', `no server is known for the model ${name}: set OPENAI_BASE_URL (e.g. http://127.0.0.1:8000/v1) or OPENAI_API_KEY, or name an instruct model on disk as local:FOLDER`);
  }
  return { baseUrl: baseUrl ?? HOSTED, apiKey };
}

async function openLocal(path: string, { device, workers }: LanguageModelHost): Promise<ChatModel> {
  const folder = resolve(path);
  if (!(await isFolder(folder))) throw new CallerError('NOT_FOUND', `${LOCAL}${path}: expected the folder of an instruct model (config.json, safetensors, tokenizer.json, a chat template); there is no such folder`);
  const [{ openGenerator }, { openChatTemplate }, { localChat }] = await Promise.all([import('./adapters/ort/openGenerator.ts'), import('./adapters/tokenizers/chatTemplate.ts'), import('./pipelines/localChat.ts')]);
  const [tokenizer, template] = await Promise.all([openTokenizer(folder), openChatTemplate(folder)]);
  const generator = await openGenerator(folder, { name: basename(folder), device, ...(workers === undefined ? {} : { workers }) });
  return localChat({ generator, tokenizer, template, name: basename(folder) });
}
