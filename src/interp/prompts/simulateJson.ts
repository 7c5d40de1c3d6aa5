import { FEW_SHOT_FEATURES } from './fewShotFeatures.ts';
import type { PromptMessage } from './promptMessage.ts';
import { ESCAPES_EXPLAINED, shownDescription } from './shownText.ts';

/** Names the text below and the schema; it changes when any character of a rendered prompt does. */
export const SIMULATE_JSON = 'simulate-json-v1';

/** Of the reply: every token again with its level, so that a level on the wrong token is seen. */
export const SIMULATE_JSON_SCHEMA = {
  name: 'levels',
  schema: {
    type: 'object',
    properties: {
      levels: {
        type: 'array',
        items: {
          type: 'object',
          properties: { token: { type: 'string' }, level: { type: 'integer', minimum: 0, maximum: 10 } },
          required: ['token', 'level'],
          additionalProperties: false,
        },
      },
    },
    required: ['levels'],
    additionalProperties: false,
  },
} as const;

/**
 * The judge writes a level from 0 to 10 for every token, as JSON. For judges that do not show what they expect inside a prompt;
 * another instrument than simulation all at once, since written numbers follow each other. `tokens` as prompts show them.
 */
export function simulateJson(description: string, tokens: readonly string[]): readonly PromptMessage[] {
  const messages: PromptMessage[] = [{ role: 'system', content: INSTRUCTIONS }];
  FEW_SHOT_FEATURES.forEach((feature, i) => {
    // One text each: an active one for most, a quiet one for the last.
    const text = i === FEW_SHOT_FEATURES.length - 1 ? feature.quiet : feature.fragments[0];
    messages.push({ role: 'user', content: question(feature.description, text.map((token) => token.text)) });
    messages.push({ role: 'assistant', content: JSON.stringify({ levels: text.map(({ text: token, level }) => ({ token, level })) }) });
  });
  messages.push({ role: 'user', content: question(shownDescription(description), tokens) });
  return messages;
}

/** About how many tokens the reply has, and what it cannot honestly exceed. */
export function simulateJsonReply(tokens: readonly string[]): { readonly expected: number; readonly most: number } {
  let most = 64;
  for (const token of tokens) most += 24 + new TextEncoder().encode(JSON.stringify(token)).length;
  return { expected: 8 + 12 * tokens.length, most };
}

function question(description: string, tokens: readonly string[]): string {
  return `The feature is active on ${description}\nThe ${tokens.length} tokens of the text: ${JSON.stringify(tokens)}`;
}

const INSTRUCTIONS = [
  'A language model has inner features. Each of them is active on some kind of token, or in some kind of place, and silent everywhere else.',
  'You get a description of a feature and the tokens of a text. Predict how active the feature is on every token: a whole number from 0 (silent) to 10 (as active as it gets). A feature is silent on most tokens, and on many texts altogether.',
  'Answer with JSON alone: {"levels":[{"token":"...","level":0}, ...]}, one entry for every token, in order, with the token as it was given. Leave none out, join none and add none.',
  ESCAPES_EXPLAINED,
].join('\n');
