/**
 * Files a folder's tokenizer can live in, best first. A tokenizer's hash is the sha-256 of the bytes of the first complete
 * set, one file after the other; of no bytes where a folder has none.
 */
export const TOKENIZER_FILES: readonly (readonly string[])[] = [['tokenizer.json'], ['vocab.json', 'merges.txt']];
