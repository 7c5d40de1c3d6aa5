/**
 * How text of the corpus is written inside prompts. The writing is unambiguous (the text can be had back from it) but for bytes:
 *
 *     \            \\
 *     line feed    \n      carriage return   \r      tab   \t
 *     « and »      \« \»   (they mark tokens in our prompts)
 *     U+FFFD       \{bytes}: part of a character, or bytes that are no character
 *     invisible    \u{hex}: control, format, private-use and lone surrogate code points, line and paragraph separators, spaces
 *                  other than U+0020
 *     <|, <s> …    \u{3c}|: the first character of what chat formats reserve, so that no server takes text of the corpus for
 *                  the end of a turn (those of ChatML, Llama 2 and 3, Mistral, Gemma, Qwen, DeepSeek, gpt-oss)
 *
 * A token that separates documents is \{new document}, a token without text \{nothing}: see showFragment.
 */
export function shownText(text: string): string {
  return breakReserved(
    text.replaceAll(ODD, (character) => {
      const short = SHORT[character];
      if (short !== undefined) return short;
      return character === '\uFFFD' ? '\\{bytes}' : codeOf(character);
    }),
  );
}

/** The sentence that tells a model how to read it. */
export const ESCAPES_EXPLAINED =
  String.raw`Odd characters are written with a backslash: \n is a line break, \t a tab, \\ a backslash, \u{...} a character by its code, \{bytes} a piece of a character, \{new document} the place where another text begins.`;

/** Marks the beginnings of reserved words of chat formats; to be used again where several tokens are joined. */
export function breakReserved(text: string): string {
  return text.replaceAll(RESERVED, codeOf);
}

/** A description inside a judge's prompt: on one line, and no text of it can end the judge's turn. */
export function shownDescription(description: string): string {
  return breakReserved(description.replaceAll(/\s+/g, ' ').trim());
}

const ODD = /[\\«»\uFFFD\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu;
const SHORT: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t', '«': '\\«', '»': '\\»' };
const RESERVED =
  /<(?=[|｜]|\/?(?:s|bos|eos|pad|unk|think|tools|tool_call|tool_response|start_of_turn|end_of_turn)>|<\/?SYS>>)|\[(?=\/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|THINK)\])/gu;

function codeOf(character: string): string {
  return `\\u{${character.codePointAt(0)!.toString(16)}}`;
}
