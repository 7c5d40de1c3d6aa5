import { Tokenizer as Library } from '@huggingface/tokenizers';
import { CallerError, messageOf } from '../../domain/errors.ts';
import type { Tokenizer } from '../../ports/Tokenizer.ts';
import { correctByteFallback } from './byteFallback.ts';
import type { TokenizerJson } from './tokenizerJson.ts';

/** A tokenizer.json run by @huggingface/tokenizers. */
export class HubTokenizer implements Tokenizer {
  readonly hash: string;
  readonly size: number;
  readonly eosId: number | null;
  readonly bosId: number | null;
  readonly #library: Library;

  /** `where` names the folder in messages. Throws BAD_MODEL_FILE when the library cannot build it. */
  constructor(hash: string, json: TokenizerJson, config: object, where: string) {
    const ids = idsOf(json, where);
    try {
      this.#library = new Library(json, config);
    } catch (cause) {
      throw new CallerError('BAD_MODEL_FILE', `${where}: its tokenizer cannot be built: ${messageOf(cause)}`, { cause });
    }
    correctByteFallback(this.#library.decoder);
    this.hash = hash;
    this.size = maximum(ids.values()) + 1;
    const idOf = (names: readonly (string | undefined)[]): number | null => {
      for (const name of names) if (name !== undefined && ids.has(name)) return ids.get(name)!;
      return null;
    };
    this.eosId = idOf([tokenName(config, 'eos_token'), '<|endoftext|>', '</s>']);
    this.bosId = idOf([tokenName(config, 'bos_token'), '<|endoftext|>', '<s>']);
  }

  encode(text: string, options: { specialTokens?: boolean } = {}): Int32Array {
    return Int32Array.from(this.#library.encode(text, { add_special_tokens: options.specialTokens ?? false }).ids);
  }

  /** Throws BAD_INPUT for an id the tokenizer has not. */
  decode(ids: ArrayLike<number>): string {
    // The library refuses an empty list.
    if (ids.length === 0) return '';
    for (let i = 0; i < ids.length; i++) {
      if (!(ids[i] >= 0 && ids[i] < this.size)) {
        throw new CallerError('BAD_INPUT', `token id: expected 0 to ${this.size - 1}, found ${ids[i]}`);
      }
    }
    return this.#library.decode(Array.from(ids), { skip_special_tokens: false, clean_up_tokenization_spaces: false });
  }

  token(id: number): string {
    return this.decode([id]);
  }
}

function idsOf(json: TokenizerJson, where: string): Map<string, number> {
  const vocab: unknown = json.model?.vocab;
  if (typeof vocab !== 'object' || vocab === null) {
    throw new CallerError('BAD_MODEL_FILE', `${where}: tokenizer.json has no model.vocab`);
  }
  const ids = new Map<string, number>(Object.entries(vocab as Record<string, number>));
  for (const { content, id } of json.added_tokens ?? []) ids.set(content, id);
  return ids;
}

function maximum(values: Iterable<number>): number {
  let top = -1;
  for (const value of values) if (value > top) top = value;
  return top;
}

/** tokenizer_config.json writes a token as text, or as an object with `content`. */
function tokenName(config: object, field: string): string | undefined {
  const value: unknown = (config as Record<string, unknown>)[field];
  if (typeof value === 'string') return value;
  const content: unknown = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)['content'] : undefined;
  return typeof content === 'string' ? content : undefined;
}
