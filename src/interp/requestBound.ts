/**
 * Upper bound of the tokens a prompt has: its UTF-8 bytes (no byte-level tokenizer makes more tokens than bytes) and what chat
 * templates put around messages. `besides` is what is sent along and counted by some servers, e.g. a JSON schema.
 */
export function promptBound(texts: readonly string[], besides = ''): number {
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text) + TEMPLATE_TOKENS_PER_MESSAGE, 0) + Buffer.byteLength(besides) + TEMPLATE_TOKENS;
}

/** Role, separators, end of turn: five in the templates we know. */
const TEMPLATE_TOKENS_PER_MESSAGE = 16;
/** Start of text, a system turn that some templates add by themselves, opening of the reply: about 40 at most in the templates we know. */
const TEMPLATE_TOKENS = 64;
