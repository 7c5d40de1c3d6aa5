import type { Exemplar, FeatureAnalysis } from '../domain/feature.ts';

/** An exemplar with its numbers as the float32 they were when they were measured; the catalog reads them as short decimals of these. */
export function exemplarAsAnalysed(exemplar: Exemplar): Exemplar {
  return { ...exemplar, activations: exemplar.activations.map(Math.fround), maxActivation: Math.fround(exemplar.maxActivation) };
}

/** The same of all that a feature's analysis holds in float32: what explainers compute from is then the same to the bit. */
export function featureAsAnalysed(feature: FeatureAnalysis): FeatureAnalysis {
  const logits = (list: FeatureAnalysis['topLogits']): FeatureAnalysis['topLogits'] => list.map(({ id, value }) => ({ id, value: Math.fround(value) }));
  return {
    ...feature,
    histogram: { ...feature.histogram, edges: feature.histogram.edges.map(Math.fround) },
    topLogits: logits(feature.topLogits),
    bottomLogits: logits(feature.bottomLogits),
    neighbours: feature.neighbours.map(({ index, cosine }) => ({ index, cosine: Math.fround(cosine) })),
    exemplars: feature.exemplars.map(exemplarAsAnalysed),
  };
}
