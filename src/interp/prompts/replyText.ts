/** A reply as far as parsers read it. */
export interface PromptReply {
  readonly text: string;
  /** `length`: cut off at the most tokens that were allowed. */
  readonly finish: 'stop' | 'length' | 'refused';
}

const THOUGHT = /<(think|thinking|thought|reasoning|scratchpad)>[\s\S]*?<\/\1>/giu;
/** Spaces for the thoughts that a model puts before its answer; all else keeps its place. */
export function withoutThoughts(text: string): string {
  return text.replaceAll(THOUGHT, (thought) => ' '.repeat(thought.length));
}

const THOUGHT_OPENS = /<(?:think|thinking|thought|reasoning|scratchpad)>/iu;
const THOUGHT_CLOSES = /[\s\S]*<\/(?:think|thinking|thought|reasoning|scratchpad)>/iu;
/** Channels of models that write their thoughts and their answer one after the other: what counts follows the last mark. */
const CHANNEL = /[\s\S]*<\|(?:message|final)\|>/u;
const END_OF_TURN = /(?:<\|[\w ]*\|>|<\/s>|<end_of_turn>)[\s\S]*$/u;

/**
 * What a model says after thinking: reasoning blocks, fences of text or JSON, control tokens and
 * control characters are taken away; the fence of a program stays to tell that it is one. Null when
 * a reasoning block never ends, so that there is no answer.
 */
export function replyText(text: string): string | null {
  let said = text.replaceAll(THOUGHT, ' ').replace(THOUGHT_CLOSES, ' ');
  if (THOUGHT_OPENS.test(said)) return null;
  said = said.replace(CHANNEL, '').replace(END_OF_TURN, '');
  return said.replaceAll(/^[ \t]*(?:```|~~~)(?:text|txt|plain|plaintext|markdown|md|json)?[ \t]*$/gimu, '').replaceAll(/[\uFFFD\p{Co}\p{Cs}]|(?![\n\t])\p{Cc}/gu, '').trim();
}
