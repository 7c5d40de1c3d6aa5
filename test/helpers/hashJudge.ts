import { createHash } from 'node:crypto';
import type { ServedRequest } from './openaiServer.ts';
import { answerExplain } from './readingModel.ts';

function hashOf(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32LE(0);
}

/**
 * Answers whatever explainers and scorers ask, the same for the same request: explanations by reading the prompt (readingModel.ts),
 * judgements by a hash of it. For tests of what becomes of replies, not of what they say.
 */
export function hashJudge(request: ServedRequest): string {
  const explained = answerExplain(request);
  if (explained !== null) return explained;
  const labels = (request.schema?.schema as { properties?: { labels?: { minItems: number } } } | undefined)?.properties?.labels;
  if (labels === undefined) return 'yes';
  return JSON.stringify({ labels: Array.from({ length: labels.minItems }, (_, i) => hashOf(`${i} ${request.prompt}`) % 2) });
}

/** What it expects in the place of each "unknown" of a simulation: a level by a hash of what stands before. */
export function hashLevels({ token, before }: { readonly token: string; readonly before: string }): Readonly<Record<string, number>> {
  if (token !== 'unknown') return { [token]: 1 };
  return { '0': 0.6, [String(1 + (hashOf(before.slice(-40)) % 9))]: 0.4 };
}
