import { Rng } from '../math/rng.ts';
import { CallerError } from '../domain/errors.ts';
import { generateDocument, type Split } from './document.ts';
import { fnv1a } from './hash.ts';
import { meeting } from './meeting.ts';
import { passages } from './passages.ts';

/** A text with its origin: `package@version/path#n` (passage n of a file), `generated`, or `generated/meeting`. */
export interface CorpusDocument {
  readonly source: string;
  readonly text: string;
}

/** One file in this many belongs to the held-out split: about 3 %. */
const HELD_OUT_EVERY = 33;

/**
 * Share of generated characters that are `meeting` passages. They have a random stream of their own, so that the stream of
 * `generated` documents, on which the tokenizer was trained, does not depend on them.
 */
const MEETING_SHARE = 0.25;

/** The split of an installed file: by a hash of its path, so it does not depend on order or seed. */
export function splitOf(path: string): Split {
  return fnv1a(path) % HELD_OUT_EVERY === 0 ? 'heldout' : 'train';
}

/**
 * The demo model's text: passages of installed files, shuffled, with generated documents between them in a fixed share of
 * characters. Any prefix has about the same mixture as the whole. Ends when the installed passages of the split end.
 *
 * @param options.seed orders the passages and writes the generated documents; the two splits never share a stream.
 * @param options.installed files as given by an `installedText` reader.
 * @param options.generatedShare share of characters that is generated, in [0, 1); default 0.3.
 * @throws CallerError (BAD_INPUT) for a share outside [0, 1).
 */
export async function* demoCorpus(options: {
  seed: number;
  split: Split;
  installed: Iterable<{ readonly path: string; readonly text: string }> | AsyncIterable<{ readonly path: string; readonly text: string }>;
  generatedShare?: number;
}): AsyncGenerator<CorpusDocument> {
  const share = options.generatedShare ?? 0.3;
  if (!(share >= 0 && share < 1)) throw new CallerError('BAD_INPUT', `expected generatedShare in [0, 1), found ${share}`);
  const pieces: CorpusDocument[] = [];
  for await (const { path, text } of options.installed) {
    if (splitOf(path) !== options.split) continue;
    passages(text).forEach((passage, n) => pieces.push({ source: `${path}#${n}`, text: passage }));
  }
  Rng.derive(options.seed, 'order', options.split).shuffle(pieces);
  const rng = Rng.derive(options.seed, 'generated', options.split);
  const meetings = Rng.derive(options.seed, 'meetings', options.split);
  let installed = 0;
  let generated = 0;
  let met = 0;
  for (const piece of pieces) {
    yield piece;
    installed += piece.text.length;
    while (generated < (installed * share) / (1 - share)) {
      const isMeeting = met < generated * MEETING_SHARE;
      const text = isMeeting ? meeting(meetings) : generateDocument(rng, options.split);
      generated += text.length;
      if (isMeeting) met += text.length;
      yield { source: isMeeting ? 'generated/meeting' : 'generated', text };
    }
  }
}
