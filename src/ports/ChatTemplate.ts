import type { ChatMessage } from './ChatModel.ts';

/** How a model's conversations are written as one text. */
export interface ChatTemplate {
  /** sha-256 of what it renders with: the template and its special tokens. */
  readonly hash: string;
  /** Generation ends after one of these ids. */
  readonly stopIds: readonly number[];
  /**
   * The text up to where the assistant's next turn begins, then `continuation`. Encode each piece on its own: texts are cut
   * wherever a message spells a control token, so that only the template's own control tokens become such.
   */
  pieces(messages: readonly ChatMessage[], continuation?: string): readonly string[];
}
