import type { PromptMessage } from './promptMessage.ts';

/** From this many words on, words in the order of the prompt are a repetition, not chance. */
const RUN_WORDS = 6;
/** Share of the reply that such a run must be. */
const RUN_SHARE = 0.6;
/** Share of common words, in order, from which a reply is the answer of an example: a word may be lost or added. */
const EXAMPLE_SHARE = 0.85;

/** Letters and digits in lower case, by words. */
function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

/**
 * True when a reply merely says again what it was asked: most of it is one run of words of a message, or it is, but for a word, the
 * answer to one of the prompt's examples. Short phrases (fewer than RUN_WORDS words) may well stand in the texts.
 */
export function repeatsPrompt(reply: string, messages: readonly PromptMessage[]): boolean {
  const words = wordsOf(reply);
  return messages.some(({ role, content }) => {
    if (role === 'assistant') return likeness(words, wordsOf(content)) >= EXAMPLE_SHARE;
    const asked = ` ${wordsOf(running(content)).join(' ')} `;
    const run = Math.max(RUN_WORDS, Math.ceil(RUN_SHARE * words.length));
    for (let i = 0; i + run <= words.length; i++) if (asked.includes(` ${words.slice(i, i + run).join(' ')} `)) return true;
    return false;
  });
}

/** Lines of token, tab, level become running text again. */
function running(content: string): string {
  return content.replaceAll(/\t\d+(?:\n|$)/gu, '');
}

/** Longest common subsequence as a share of the longer list, 0 to 1. */
function likeness(a: readonly string[], b: readonly string[]): number {
  // Too different in length to be alike: not worth a table.
  if (Math.min(a.length, b.length) < EXAMPLE_SHARE * Math.max(a.length, b.length)) return 0;
  let row = Array.from({ length: b.length + 1 }, () => 0);
  for (const word of a) {
    const next = [0];
    for (let j = 1; j <= b.length; j++) next[j] = word === b[j - 1] ? row[j - 1] + 1 : Math.max(row[j], next[j - 1]);
    row = next;
  }
  return row[b.length] / Math.max(a.length, b.length, 1);
}
