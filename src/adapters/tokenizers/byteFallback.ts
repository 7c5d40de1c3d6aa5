/**
 * The library's ByteFallback step decodes a run of byte tokens with `new TextDecoder()`, which drops a leading U+FEFF and
 * writes one U+FFFD for a broken sequence. The reference (tokenizers, decoders/byte_fallback.rs) keeps the one, and writes one
 * U+FFFD for every byte of a run that is not valid UTF-8 as a whole. This puts the reference's rule in its place.
 */
export function correctByteFallback(decoder: unknown): void {
  if (typeof decoder !== 'function') return;
  const step = decoder as { text_decoder?: unknown; decoders?: unknown; config?: { type?: unknown } };
  if (Array.isArray(step.decoders)) for (const inner of step.decoders) correctByteFallback(inner);
  if (step.config?.type === 'ByteFallback') step.text_decoder = { decode: decodeRun };
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decodeRun(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    return '\ufffd'.repeat(bytes.length);
  }
}
