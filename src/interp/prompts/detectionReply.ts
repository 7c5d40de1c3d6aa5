import type { ReadPiece } from '../expectedActivations.ts';
import type { Alternative } from '../expectedLevel.ts';
import { withoutThoughts } from './replyText.ts';

/** One token of a reply with what else might have stood there. */
type AnsweredToken = ReadPiece & Alternative;

/** A judge's answer for one excerpt. */
export interface Label {
  readonly said: boolean;
  /** P(yes) = p₁/(p₀ + p₁) of the digits' probabilities where this one stands; null where they cannot be told. */
  readonly probability: number | null;
}

/** JSON Schema of a list of n labels. */
export function labelsSchema(n: number): { readonly name: string; readonly schema: Readonly<Record<string, unknown>> } {
  const labels = { type: 'array', items: { type: 'integer', enum: [0, 1] }, minItems: n, maxItems: n };
  return { name: 'labels', schema: { type: 'object', properties: { labels }, required: ['labels'], additionalProperties: false } };
}

/**
 * Reads n labels from a reply. The list of zeros and ones may stand anywhere (in {"labels": …}, a code fence, bare), but there must
 * be one and no second outside of thoughts, and it must have n entries; one label may also be a lone digit with nothing but signs around it.
 *
 * Later labels of a list are conditioned on the earlier ones as they were said, so probabilities of a list are less clean than those
 * of single answers.
 * @returns the labels, or why there are none (without numbers, so that reasons can be counted).
 */
export function readLabels(reply: { readonly text: string; readonly tokens: readonly AnsweredToken[] | null }, n: number): { readonly value: readonly Label[] } | { readonly bad: string } {
  const said = withoutThoughts(reply.text);
  const lone = n === 1 ? /^[^\p{L}\p{N}]*([01])[^\p{L}\p{N}]*$/u.exec(said) : null;
  if (lone !== null) return { value: [labelAt(reply, said.indexOf(lone[1]))] };
  const lists = [...said.matchAll(/\[\s*[01](?:\s*,\s*[01])*\s*,?\s*\]/g)];
  if (lists.length === 0) return { bad: 'no list of zeros and ones' };
  if (lists.length > 1) return { bad: 'more than one list' };
  const [list] = lists;
  const places = [...list[0].matchAll(/[01]/g)].map((digit) => list.index + digit.index);
  if (places.length !== n) return { bad: places.length < n ? 'fewer labels than excerpts' : 'more labels than excerpts' };
  return { value: places.map((place) => labelAt(reply, place)) };
}

function labelAt({ text, tokens }: Parameters<typeof readLabels>[0], place: number): Label {
  return { said: text[place] === '1', probability: tokens === null ? null : probabilityAt(tokens, place) };
}

/** Alternatives that are the bare digit count, with or without spaces; a token that holds the digit and more tells nothing. */
function probabilityAt(tokens: readonly AnsweredToken[], place: number): number | null {
  const token = tokens.find(({ text, offset }) => place >= offset && place < offset + text.length);
  if (token === undefined || !/^\s*[01]\s*$/.test(token.text) || token.top.length === 0) return null;
  const top = token.top.some(({ text }) => text === token.text) ? token.top : [...token.top, token];
  const mass = { 0: 0, 1: 0 };
  for (const { text, logprob } of top) {
    const digit = text.trim();
    if (digit === '0' || digit === '1') mass[digit] += Math.exp(logprob);
  }
  const sum = mass[0] + mass[1];
  return sum > 0 ? mass[1] / sum : null;
}
