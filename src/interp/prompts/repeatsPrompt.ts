import type { PromptMessage } from './promptMessage.ts';

/** From this many words on, words in the order of the prompt are a repetition, not chance. */
const RUN_WORDS = 6;
/** Share of the reply that such a run must be. */
const RUN_SHARE = 0.6;

/** Letters and digits in lower case, by words. */
function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

/**
 * True when a reply merely says again what it was asked: most of it is one run of words of a message, or it is word for word the
 * answer to one of the prompt's examples. Short phrases (fewer than RUN_WORDS words) may well stand in the texts.
 */
export function repeatsPrompt(reply: string, messages: readonly PromptMessage[]): boolean {
  const words = wordsOf(reply);
  const said = ` ${words.join(' ')} `;
  return messages.some(({ role, content }) => {
    const asked = ` ${wordsOf(running(content)).join(' ')} `;
    if (role === 'assistant') return asked === said;
    const run = Math.max(RUN_WORDS, Math.ceil(RUN_SHARE * words.length));
    for (let i = 0; i + run <= words.length; i++) if (asked.includes(` ${words.slice(i, i + run).join(' ')} `)) return true;
    return false;
  });
}

/** Lines of token, tab, level become running text again. */
function running(content: string): string {
  return content.replaceAll(/\t\d+(?:\n|$)/gu, '');
}
