import type { FeatureAnalysis } from '../domain/feature.ts';
import type { Artefacts } from '../ports/Artefacts.ts';

/**
 * Tokens as they occur in the analysed text, for replacing masked tokens: those of the first features' random fragments, so that
 * neither the token file nor a frequency table is needed. Deterministic.
 * @param count about how many; fewer where the analysis holds fewer.
 */
export async function backgroundTokens(artefacts: Artefacts, featuresPath: string, count = 8192): Promise<Int32Array> {
  const tokens: number[] = [];
  for await (const { exemplars } of artefacts.readRecords<FeatureAnalysis>(featuresPath)) {
    for (const { kind, ids } of exemplars) if (kind === 'random') tokens.push(...ids);
    if (tokens.length >= count) break;
  }
  return Int32Array.from(tokens);
}
