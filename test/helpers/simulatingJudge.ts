import { readRule, ruleFires } from './readingModel.ts';
import type { Rule } from './readingModel.ts';

/**
 * A "language model" of rules that simulates features: it READS the description and the tokens in the prompt, as a judge would, and
 * expects or writes high levels where the description fits. Descriptions in the grammar of readingModel.
 */

/** What it expects where the text so far ends in `token<tab>` of a simulation all at once; null anywhere else. */
export function expectsLevel(before: string, top = 10): Record<string, number> | null {
  if (!before.endsWith('\t')) return null;
  const said = before.lastIndexOf(' is active on ') + ' is active on '.length;
  const description = before.slice(said, before.indexOf('\n', said));
  // Since the last beginning of a text: lines of token, tab, anything.
  const lines = before.slice(before.lastIndexOf('Text:\n') + 'Text:\n'.length).split('\n');
  const tokens = lines.map((line) => line.slice(0, line.indexOf('\t')));
  return fires(description, tokens, tokens.length - 1)
    ? { [String(top)]: 0.5, [String(top - 1)]: 0.2, unknown: 0.2, '0': 0.1 }
    : { '0': 0.6, '1': 0.1, unknown: 0.3 };
}

/** Levels it writes for a JSON prompt. */
export function writesLevels(messages: readonly { readonly content: string }[]): { token: string; level: number }[] {
  const [, description, list] = /^The feature is active on (.*)\nThe \d+ tokens of the text: (.*)$/s.exec(messages.at(-1)!.content)!;
  const tokens = JSON.parse(list) as string[];
  return tokens.map((token, t) => ({ token, level: fires(description, tokens, t) ? 9 : 0 }));
}

function fires(description: string, tokens: readonly string[], t: number): boolean {
  const rule: Rule | null = readRule(description);
  return rule !== null && ruleFires(rule, tokens, t);
}
