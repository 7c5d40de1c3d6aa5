import type { PromptMessage } from './promptMessage.ts';
import { shownDescription } from './shownText.ts';

/** An invented feature with excerpts it does and does not react to, to show the task. */
export interface JudgingExample {
  readonly description: string;
  readonly excerpts: readonly { readonly text: string; readonly label: 0 | 1 }[];
}

/** A prompt that has a model judge excerpts by a description. */
export interface JudgingPrompt {
  /** Changes with the text. */
  readonly version: string;
  /** @param excerpts as they are to stand in the prompt, each on one line. */
  render(description: string, excerpts: readonly string[]): PromptMessage[];
}

/**
 * System text, then the examples as turns of a conversation, then the question. `list`: all excerpts of an example in one question,
 * answered by {"labels":[…]}; `one`: one excerpt a question, answered by a single digit, whose probability can be read.
 */
export function judgingPrompt(version: string, system: readonly string[], examples: readonly JudgingExample[], form: 'list' | 'one'): JudgingPrompt {
  const opening: PromptMessage[] = [{ role: 'system', content: [...system, '', FORMS[form]].join('\n') }];
  for (const { description, excerpts } of examples) {
    const questions = form === 'list' ? [excerpts] : excerpts.slice(0, EXCERPTS_OF_ONE).map((excerpt) => [excerpt]);
    for (const question of questions) {
      opening.push({ role: 'user', content: questionOf(description, question.map(({ text }) => text), form) });
      opening.push({ role: 'assistant', content: form === 'list' ? JSON.stringify({ labels: question.map(({ label }) => label) }) : String(question[0].label) });
    }
  }
  return { version, render: (description, excerpts) => [...opening, { role: 'user', content: questionOf(description, excerpts, form) }] };
}

/** Excerpts of each example that are shown one by one: the first ones, in which both answers occur. */
const EXCERPTS_OF_ONE = 2;

const FORMS = {
  list: 'Answer with JSON of the form {"labels":[...]}, one number for every excerpt, in the order of the excerpts, and with nothing else.',
  one: 'Answer with the single digit 1 or 0 and with nothing else.',
};

function questionOf(description: string, excerpts: readonly string[], form: 'list' | 'one'): string {
  const lines = form === 'list' ? excerpts.map((text, i) => `Excerpt ${i + 1}: ${text}`) : [`Excerpt: ${excerpts[0]}`];
  return [`Description: ${shownDescription(description)}`, '', ...lines].join('\n');
}
