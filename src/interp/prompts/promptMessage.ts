/** One turn of a prompt, as the port ChatModel takes it. */
export interface PromptMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}
