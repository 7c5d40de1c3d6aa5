import { FEW_SHOT_FEATURES } from './fewShotFeatures.ts';
import type { PromptMessage } from './promptMessage.ts';
import { ESCAPES_EXPLAINED, shownDescription } from './shownText.ts';

/** Names the text below; it changes when any character of a rendered prompt does. */
export const SIMULATE_ALL_AT_ONCE = 'simulate-all-at-once-v1';

/** Where a token stands in the continuation (UTF-16 units). */
export interface SimulatedRow {
  /** First character of its line. */
  readonly line: number;
  /** The `u` of its "unknown". */
  readonly unknown: number;
}

export interface AllAtOncePrompt {
  readonly messages: readonly PromptMessage[];
  /** Beginning of the answer: the fragment with "unknown" instead of every level. */
  readonly continuation: string;
  /** One per token, in order. */
  readonly rows: readonly SimulatedRow[];
}

const UNKNOWN = 'unknown';
/** First tokens of each example text whose levels are hidden, for the two active and the quiet text of each feature. */
const HIDDEN: readonly (readonly number[])[] = [[3, 0, 4], [0, 5, 2], [6, 1, 0], [2, 8, 6]];

/**
 * Bills et al. 2023, simulation "all at once": the judge is shown texts of other features in which the first levels are "unknown"
 * and the later ones given, then the text in question with "unknown" everywhere. What it expects in the place of each "unknown"
 * is its prediction, so one reading of the prompt judges all tokens. `tokens` as prompts show them, without tabs and line ends.
 * Levels go from 0 to `top`: 10, or 9 for a judge that reads "10" as two tokens and could not tell it from 1.
 */
export function simulateAllAtOnce(description: string, tokens: readonly string[], top: number): AllAtOncePrompt {
  const messages: PromptMessage[] = [{ role: 'system', content: instructions(top) }];
  FEW_SHOT_FEATURES.forEach((feature, i) => {
    const texts = [...feature.fragments, feature.quiet];
    messages.push({ role: 'user', content: question(i + 1, feature.description) });
    messages.push({
      role: 'assistant',
      content: texts.map((text, j) => block(text.map((token, t) => [token.text, t < HIDDEN[i][j] ? UNKNOWN : String(Math.round((token.level * top) / 10))]))).join(''),
    });
  });
  messages.push({ role: 'user', content: question(FEW_SHOT_FEATURES.length + 1, shownDescription(description)) });
  const rows: SimulatedRow[] = [];
  let line = block([]).indexOf(END);
  for (const text of tokens) {
    rows.push({ line, unknown: line + text.length + 1 });
    line += text.length + 1 + UNKNOWN.length + 1;
  }
  return { messages, continuation: block(tokens.map((text) => [text, UNKNOWN])), rows };
}

const BEGIN = 'Text:\n';
const END = '(end)\n';

function block(lines: readonly (readonly [string, string])[]): string {
  return `${BEGIN}${lines.map(([text, level]) => `${text}\t${level}\n`).join('')}${END}`;
}

function question(number: number, description: string): string {
  return `Feature ${number} is active on ${description}`;
}

function instructions(top: number): string {
  return [
    'A language model has inner features. Each of them is active on some kind of token, or in some kind of place, and silent everywhere else.',
    `You get a description of a feature and predict how active it is on every token of a text: a whole number from 0 (silent) to ${top} (as active as it gets).`,
    `Each line is a token, a tab and the number. Where the number is not known it says ${UNKNOWN}. A feature is silent on most tokens, and on many texts altogether.`,
    ESCAPES_EXPLAINED,
  ].join('\n');
}
