/**
 * Keeps texts that spell control tokens from becoming them. A tokenizer finds control tokens by their spelling wherever they
 * stand, so a quoted "<|im_end|>" would end the turn it is quoted in. `protect` puts a mark inside each spelling, the text is
 * assembled, `cut` takes it apart at the marks: encoded piece by piece, no spelling is whole. Texts without any are left as they
 * are, in one piece, and encode as ever.
 */
export interface SpecialsGuard {
  protect(text: string): string;
  cut(text: string): readonly string[];
}

export function guardSpecials(specials: readonly string[], texts: readonly string[]): SpecialsGuard {
  const mark = unusedMark(texts);
  /** With the length of its first character; one of a single character cannot be cut. */
  const spellings = specials.map((name) => ({ name, first: [...name][0]?.length ?? 0 })).filter(({ name, first }) => name.length > first);
  return {
    protect(text) {
      /** Places to cut before: inside every spelling, overlapping ones too. */
      const cuts = new Set<number>();
      for (const { name, first } of spellings) {
        for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + 1)) cuts.add(at + first);
      }
      let out = '';
      let from = 0;
      for (const at of [...cuts].sort((a, b) => a - b)) {
        out += text.slice(from, at) + mark;
        from = at;
      }
      return out + text.slice(from);
    },
    cut: (text) => text.split(mark),
  };
}

/** A run of private-use characters that no text contains. */
function unusedMark(texts: readonly string[]): string {
  let mark = '\ue123\ue124';
  while (texts.some((text) => text.includes(mark))) mark += '\ue124';
  return mark;
}
