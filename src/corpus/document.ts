import type { Rng } from '../math/rng.ts';
import { bracketed } from './brackets.ts';
import { dialogue } from './dialogue.ts';
import { datedFacts, list } from './facts.ts';
import { HELD_OUT_NAMES, TRAINING_NAMES } from './names.ts';
import { ioiSentence, type IoiCombinations } from './ioi.ts';
import { story } from './story.ts';

/** Which side of the split generated text belongs to. */
export type Split = 'train' | 'heldout';

/** Share of generated documents by kind. */
const KINDS: readonly { readonly share: number; readonly write: (rng: Rng, split: Split) => string }[] = [
  { share: 0.5, write: ioiParagraph },
  { share: 0.18, write: story },
  { share: 0.11, write: dialogue },
  { share: 0.11, write: bracketed },
  { share: 0.05, write: datedFacts },
  { share: 0.05, write: list },
];

/**
 * One generated document, 1 to 10 sentences of our own wording.
 *
 * @param split 'train' (default) leaves held-out names and combinations out of indirect-object sentences; 'heldout' uses
 * only held-out combinations there, half of them of held-out names.
 */
export function generateDocument(rng: Rng, split: Split = 'train'): string {
  let at = rng.next();
  for (const kind of KINDS) {
    at -= kind.share;
    if (at < 0) return kind.write(rng, split);
  }
  return story(rng);
}

function ioiParagraph(rng: Rng, split: Split): string {
  const combinations: IoiCombinations = split;
  const count = 1 + rng.int(5);
  const sentences: string[] = [];
  for (let i = 0; i < count; i++) {
    const names = split === 'heldout' && rng.next() < 0.5 ? HELD_OUT_NAMES : TRAINING_NAMES;
    sentences.push(ioiSentence(rng, { names, combinations }));
  }
  return sentences.join(rng.next() < 0.3 ? '\n' : ' ');
}
