import type { Tokenizer } from '../../src/ports/Tokenizer.ts';

/** A tokenizer for the tiny test models: `w7` is token 7, words are parted by spaces; anything else is token 1. */
export function wordTokenizer(size: number, eosId: number | null): Tokenizer {
  return {
    hash: `words-${size}`,
    size,
    eosId,
    bosId: null,
    encode: (text) =>
      Int32Array.from(
        text.split(' ').filter((word) => word !== ''),
        (word) => {
          const id = /^w(\d+)$/.exec(word);
          return id !== null && Number(id[1]) < size ? Number(id[1]) : 1;
        },
      ),
    decode: (ids) => Array.from(ids, (id) => `w${id}`).join(' '),
    token: (id) => `w${id}`,
  };
}
