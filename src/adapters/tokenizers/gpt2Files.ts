import type { TokenizerJson } from './tokenizerJson.ts';

const END = '<|endoftext|>';

/** What tokenizer.json would say for GPT-2's two files: byte-level BPE, no prefix space, one special token. */
export function gpt2TokenizerJson(vocab: Readonly<Record<string, number>>, merges: string): TokenizerJson {
  // The first line names the version; pairs follow, one a line.
  const pairs = merges.split('\n').filter((line) => line !== '' && !line.startsWith('#version'));
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const end = { id: vocab[END], content: END, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: vocab[END] === undefined ? [] : [end],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      fuse_unk: false,
      vocab,
      merges: pairs,
    },
  } as TokenizerJson;
}
