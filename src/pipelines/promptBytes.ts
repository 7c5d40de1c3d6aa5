import type { PromptMessage } from '../interp/prompts/promptMessage.ts';

/** UTF-8 bytes of a prompt's messages and of what is sent beside them (RequestSize). */
export function promptBytes(messages: readonly PromptMessage[], besides = ''): number {
  return messages.reduce((sum, { content }) => sum + Buffer.byteLength(content), Buffer.byteLength(besides));
}
