import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { Template } from '@huggingface/jinja';
import { CallerError, messageOf } from '../../domain/errors.ts';
import type { ChatTemplate } from '../../ports/ChatTemplate.ts';
import type { ChatMessage } from '../../ports/ChatModel.ts';
import { guardSpecials } from './guardSpecials.ts';
import { parseObject, readIfThere } from './readIfThere.ts';
import type { TokenizerJson } from './tokenizerJson.ts';

export interface ChatTemplateOptions {
  /**
   * What a model without a template gets: an error, or `plain`, turns written as "role: content" a line. Base models follow
   * that a little; instruct models want their own.
   */
  readonly without?: 'error' | 'plain';
}

const PLAIN =
  "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\\n\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}";

/**
 * The chat template of a model folder: chat_template.jinja, or `chat_template` of tokenizer_config.json (of several named ones
 * `default`), rendered as Hugging Face's apply_chat_template does. Stop ids are those of generation_config.json, config.json
 * and the tokenizer's end token.
 *
 * Throws CallerError: UNSUPPORTED for a folder without a template, BAD_MODEL_FILE for one that cannot be read.
 */
export async function openChatTemplate(folder: string, options: ChatTemplateOptions = {}): Promise<ChatTemplate> {
  const [file, tokenizerConfig, tokenizer, generation, config] = await Promise.all([
    readIfThere(join(folder, 'chat_template.jinja')),
    readObject(join(folder, 'tokenizer_config.json')),
    readObject(join(folder, 'tokenizer.json')),
    readObject(join(folder, 'generation_config.json')),
    readObject(join(folder, 'config.json')),
  ]);
  const text = file?.toString('utf8') ?? templateOf(tokenizerConfig) ?? (options.without === 'plain' ? PLAIN : undefined);
  if (text === undefined) {
    throw new CallerError(
      'UNSUPPORTED',
      `${folder}: expected a chat template (chat_template.jinja, or chat_template in tokenizer_config.json), found none: ` +
        'use an instruct model, put its template there, or ask for the plain one',
    );
  }
  const added = (tokenizer as Partial<TokenizerJson>).added_tokens ?? [];
  const specials = added.filter(({ special }) => special);
  const names = tokenNames(tokenizerConfig);
  const ids = new Map<string, number>(added.map(({ content, id }) => [content, id]));
  const stopIds = new Set([...idsIn(generation['eos_token_id']), ...idsIn(config['eos_token_id'])]);
  const end = names['eos_token'];
  if (end !== undefined && ids.has(end)) stopIds.add(ids.get(end)!);
  const control = new Set([...specials.map(({ content }) => content), ...Object.values(names)]);
  // A text that goes "user: …" must stop where the model would go on as the user; only the end token does that here.
  return new JinjaTemplate(text, names, [...control].filter((name) => ids.has(name)), [...stopIds], folder);
}

class JinjaTemplate implements ChatTemplate {
  readonly hash: string;
  readonly stopIds: readonly number[];
  readonly #template: Template;
  readonly #names: Readonly<Record<string, string>>;
  readonly #control: readonly string[];
  readonly #where: string;

  constructor(text: string, names: Readonly<Record<string, string>>, control: readonly string[], stopIds: readonly number[], where: string) {
    this.hash = createHash('sha256').update(JSON.stringify([text, names, control])).digest('hex');
    this.stopIds = stopIds;
    this.#names = names;
    this.#control = control;
    this.#where = where;
    try {
      this.#template = new Template(text);
    } catch (cause) {
      throw new CallerError('BAD_MODEL_FILE', `${where}: its chat template cannot be read: ${messageOf(cause)}`, { cause });
    }
  }

  /** Throws BAD_INPUT with the template's own words when it refuses the conversation, e.g. turns that do not alternate. */
  pieces(messages: readonly ChatMessage[], continuation = ''): readonly string[] {
    const guard = guardSpecials(this.#control, [...messages.map(({ content }) => content), continuation]);
    const guarded = messages.map(({ role, content }) => ({ role, content: guard.protect(content) }));
    let text: string;
    try {
      text = this.#template.render({ ...this.#names, messages: guarded, add_generation_prompt: true });
    } catch (cause) {
      throw new CallerError('BAD_INPUT', `${this.#where}: its chat template refuses the conversation: ${messageOf(cause)}`, { cause });
    }
    return guard.cut(text + guard.protect(continuation));
  }
}

function templateOf(config: Readonly<Record<string, unknown>>): string | undefined {
  const found = config['chat_template'];
  if (typeof found === 'string') return found;
  if (!Array.isArray(found)) return undefined;
  const named = found as readonly { readonly name?: unknown; readonly template?: unknown }[];
  const chosen = named.find(({ name }) => name === 'default') ?? named[0];
  return typeof chosen?.template === 'string' ? chosen.template : undefined;
}

/** `bos_token` and its like: written as text, or as an object with `content`. */
function tokenNames(config: Readonly<Record<string, unknown>>): Record<string, string> {
  const names: Record<string, string> = {};
  for (const [field, value] of Object.entries(config)) {
    if (!/^[a-z]+_token$/.test(field)) continue;
    const content: unknown = typeof value === 'object' && value !== null && 'content' in value ? value.content : value;
    if (typeof content === 'string') names[field] = content;
  }
  return names;
}

/** One id or a list of them. */
function idsIn(value: unknown): number[] {
  return (Array.isArray(value) ? (value as unknown[]) : [value]).filter((id) => typeof id === 'number');
}

async function readObject(path: string): Promise<Readonly<Record<string, unknown>>> {
  const file = await readIfThere(path);
  return file === undefined ? {} : (parseObject(file, path) as Record<string, unknown>);
}
