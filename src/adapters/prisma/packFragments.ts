import { invariant } from '../../domain/errors.ts';
import type { FragmentRef } from '../../domain/feature.ts';
import { natural } from './pack.ts';

/*
 * Fragments as bytes, in their order: row, start and length of each as the difference from the one before (the first from
 * 0, 0, 0), sign in the lowest bit, 7 bits a byte, lowest first, the highest bit set on all but a number's last byte.
 * Fragments are of one length, so one takes 4 to 6 bytes in any order, 3 to 5 sorted.
 */

const U32 = 0xffff_ffff;

export function packFragments(fragments: readonly FragmentRef[]): Buffer {
  const bytes: number[] = [];
  const before = [0, 0, 0];
  for (const { row, start, length } of fragments) {
    const values = [natural(row, U32, 'row of a fragment'), natural(start, U32, 'start of a fragment'), natural(length, U32, 'length of a fragment')];
    for (const [i, value] of values.entries()) {
      const step = value - before[i]!;
      // Up to 2^33: past what bit operations hold.
      let rest = step < 0 ? -2 * step - 1 : 2 * step;
      for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
      bytes.push(rest);
      before[i] = value;
    }
  }
  return Buffer.from(bytes);
}

/**
 * What scores were measured on: the order of the fragments means nothing, so they are sorted, and each list is kept once.
 * @returns the lists, packed, and for each score the place of its own.
 */
export function packJudgedOn(scores: readonly { readonly fragments: readonly FragmentRef[] }[]): { readonly lists: readonly Buffer[]; readonly places: readonly number[] } {
  return sharedLists(scores.map(({ fragments }) => packFragments([...fragments].sort((a, b) => a.row - b.row || a.start - b.start || a.length - b.length))));
}

/** Equal lists once, and for each its place among them. */
export function sharedLists(packed: readonly Buffer[]): { readonly lists: readonly Buffer[]; readonly places: readonly number[] } {
  const lists: Buffer[] = [];
  const places = packed.map((bytes) => {
    const place = lists.findIndex((other) => other.equals(bytes));
    return place >= 0 ? place : lists.push(bytes) - 1;
  });
  return { lists, places };
}

export function unpackFragments(bytes: Uint8Array): FragmentRef[] {
  const fragments: FragmentRef[] = [];
  const values = [0, 0, 0];
  let at = 0;
  while (at < bytes.length) {
    for (let i = 0; i < 3; i++) {
      let number = 0;
      for (let scale = 1; ; scale *= 128) {
        const byte = bytes[at++];
        invariant(byte !== undefined, 'packed fragments end within a number');
        number += (byte & 127) * scale;
        if (byte < 128) break;
      }
      values[i]! += number % 2 === 0 ? number / 2 : -(number + 1) / 2;
    }
    fragments.push({ row: values[0]!, start: values[1]!, length: values[2]! });
  }
  return fragments;
}
