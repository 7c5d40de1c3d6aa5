import { CallerError } from '../domain/errors.ts';
import { PAPER } from '../interp/paperProtocol.ts';
import { Rng } from '../math/rng.ts';
import type { Progress } from '../ports/Progress.ts';
import type { Tokenizer } from '../ports/Tokenizer.ts';

export interface PaperFragmentsInput {
  readonly documents: AsyncIterable<string> | Iterable<string>;
  readonly tokenizer: Tokenizer;
  /** The first so many documents are read. */
  readonly limit: number;
  /** Chooses the offsets. */
  readonly seed: number;
}

/** What became of the documents; filled as they are read. */
export interface PaperFragmentCounts {
  documents: number;
  /** Documents of fewer than 64 tokens. */
  tooShort: number;
  /** Fragments whose text holds U+FFFD: cut inside a character, or text that was damaged before. */
  undecodable: number;
  fragments: number;
}

/** Fragments handed on at a time. */
const AT_A_TIME = 256;
const REPLACEMENT = '\ufffd';

/**
 * One fragment of 64 tokens from each document, at a random place in it, without a separator before it (Cunningham et al. 2023,
 * Appendix A, and its code). Documents that are shorter, and fragments whose text holds U+FFFD, are left out and counted. The
 * place depends on the seed and the document's number alone. Streams; yields chunks of whole rows, row-major.
 */
export async function* paperFragments({ documents, tokenizer, limit, seed }: PaperFragmentsInput, counts: PaperFragmentCounts, progress?: Progress): AsyncGenerator<Int32Array, void, undefined> {
  const { fragmentTokens: length } = PAPER;
  const task = progress?.start('fragments', limit, 'documents');
  let held: number[] = [];
  for await (const document of documents) {
    if (counts.documents === limit) break;
    const place = counts.documents++;
    if (place % AT_A_TIME === 0) task?.update(place);
    const ids = tokenizer.encode(document);
    if (ids.length < length) {
      counts.tooShort++;
      continue;
    }
    const start = Rng.derive(seed, 'paper fragment', place).int(ids.length - length + 1);
    const fragment = ids.subarray(start, start + length);
    if (tokenizer.decode(fragment).includes(REPLACEMENT)) {
      counts.undecodable++;
      continue;
    }
    counts.fragments++;
    held.push(...fragment);
    if (held.length < AT_A_TIME * length) continue;
    yield Int32Array.from(held);
    held = [];
  }
  if (held.length > 0) yield Int32Array.from(held);
  if (counts.fragments === 0) throw new CallerError('BAD_INPUT', `none of ${counts.documents} documents gives a fragment of ${length} tokens (${counts.tooShort} are shorter); expected a text with one document per line of a .jsonl file`);
  task?.finish(`${counts.fragments} fragments; ${counts.tooShort} documents shorter than ${length} tokens, ${counts.undecodable} fragments with undecodable text left out`);
}

export function noFragments(): PaperFragmentCounts {
  return { documents: 0, tooShort: 0, undecodable: 0, fragments: 0 };
}
