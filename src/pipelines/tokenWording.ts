import type { TokenWording } from '../interp/prompts/showFragment.ts';
import type { Tokenizer } from '../ports/Tokenizer.ts';

/** How the subject model's tokens become text in prompts; each id is looked up once. */
export function wordingOf(tokenizer: Tokenizer): TokenWording {
  const texts = new Map<number, string>();
  return {
    token(id) {
      let text = texts.get(id);
      if (text === undefined) texts.set(id, (text = tokenizer.token(id)));
      return text;
    },
    decode: (ids) => tokenizer.decode(ids),
    separators: new Set([tokenizer.eosId, tokenizer.bosId].filter((id) => id !== null)),
  };
}
