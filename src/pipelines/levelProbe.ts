import type { ChatModel, PromptRequest } from '../ports/ChatModel.ts';
import { TOP_LEVEL } from '../interp/discretise.ts';

/** A reading that shows whether the judge's tokenizer keeps "10" whole after a tab. */
export const LEVEL_PROBE: PromptRequest = {
  messages: [{ role: 'user', content: 'Write the word level, a tab and the number 10.' }],
  continuation: 'level\t10\n',
  topLogprobs: 1,
};

/**
 * The highest level that is one token for this judge: 10, or 9 where its tokenizer writes numbers digit by digit (then what it
 * expects first for 10 and for 1 is the same token, and the strongest activation would be read as one of the weakest). Asked once,
 * when first wanted.
 */
export function topLevelOf(chat: ChatModel): () => Promise<number> {
  let known: Promise<number> | null = null;
  return () => {
    known ??= probe(chat).catch((error: unknown) => {
      // A server that was away is asked again by whoever comes next.
      known = null;
      throw error;
    });
    return known;
  };
}

async function probe(chat: ChatModel): Promise<number> {
  const { tokens } = await chat.readPrompt(LEVEL_PROBE);
  return tokens.some(({ text }) => /(^|[^\d])10([^\d]|$)/.test(text)) ? TOP_LEVEL : TOP_LEVEL - 1;
}
