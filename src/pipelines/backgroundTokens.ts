import type { Exemplar, FeatureAnalysis } from '../domain/feature.ts';
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

/**
 * Fragments of the analysed text for showing where a feature is silent: two random ones of each of the first features, none twice.
 * Deterministic.
 * @param count how many at most: more than are shown, since those that begin a row are of more use (silentWindows.ts).
 */
export async function backgroundFragments(artefacts: Artefacts, featuresPath: string, count = 4096): Promise<readonly Exemplar[]> {
  const fragments = new Map<string, Exemplar>();
  for await (const { exemplars } of artefacts.readRecords<FeatureAnalysis>(featuresPath)) {
    for (const fragment of exemplars.filter(({ kind }) => kind === 'random').slice(0, 2)) fragments.set(`${fragment.row} ${fragment.start}`, fragment);
    if (fragments.size >= count) break;
  }
  return [...fragments.values()].slice(0, count);
}
