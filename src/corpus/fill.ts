import type { Rng } from '../math/rng.ts';
import { invariant } from '../domain/errors.ts';
import { WORDS } from './words.ts';

/**
 * Replaces each `{slot}` of a template by its binding, or by a random word of the list of that name. `{slot:2}` draws a
 * second, separate word of list `slot`; the same slot text twice in one template gives the same word.
 */
export function fill(rng: Rng, template: string, bindings: Readonly<Record<string, string>> = {}): string {
  const drawn: Record<string, string> = { ...bindings };
  return template.replace(/\{([^{}]+)\}/g, (_, slot: string) => {
    const known = drawn[slot];
    if (known !== undefined) return known;
    const list = WORDS[slot.replace(/:\d+$/, '')];
    invariant(list, `template "${template}" has a slot {${slot}} that no binding and no word list fills`);
    const word = rng.pick(list);
    drawn[slot] = word;
    return word;
  });
}

/** First letter in upper case. */
export function capitalise(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
