import type { ExplainSubject } from './explainSubject.ts';
import type { PromptMessage } from './promptMessage.ts';

/** A way of asking for a description. The version names the text: it changes when any character of a rendered prompt does. */
export interface ExplainPrompt {
  readonly version: string;
  /** Most tokens of the reply. */
  readonly maxTokens: number;
  /** Beginning of the answer, given at the prompt's end; the reply may repeat it. */
  readonly beginning: string;
  render(subject: ExplainSubject): readonly PromptMessage[];
}
