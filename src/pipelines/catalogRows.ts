import type { CircuitEdge, Exemplar, Explanation, FragmentRef, OutputEdge } from '../domain/feature.ts';
import type { BulkFeature, BulkNearest, BulkPerson, BulkSkip, OfRun } from '../ports/CatalogBulk.ts';
import { float32List, float32Text, float64Text, objectText } from './exactNumbers.ts';

/*
 * Lines of the batch files. The columns are those of the field's public exports (`v1/{model}/{source}/features/batch-0.jsonl.gz`, …), in
 * its order and with null or [] for what this catalog does not keep; what the field has no column for lies in one of ours, `catalog`.
 */

/** What every line says of its place; the field calls a dictionary `layer`, and writes indices as text. */
export interface RowPlace {
  readonly model: string;
  readonly dictionary: string;
  readonly set: string;
  readonly hookPoint: string;
  /** Display text of a token of the model's. */
  token(id: number): string;
}

const text = (value: string | null): string => JSON.stringify(value);
const json = (value: unknown): string => JSON.stringify(value ?? null);
const placed = ({ model, dictionary }: RowPlace, index: number) => ({ modelId: text(model), layer: text(dictionary), index: text(String(index)) });
const NOTHING = 'null';
const NONE = '[]';

export function featureLine(place: RowPlace, feature: BulkFeature): string {
  const { histogram, topLogits, bottomLogits, neighbours } = feature;
  const { edges, counts } = histogram;
  return objectText({
    ...placed(place, feature.index),
    maxActApprox: float64Text(feature.maxActivation),
    creatorId: NOTHING,
    frac_nonzero: float64Text(feature.density),
    freq_hist_data_bar_heights: json(counts),
    freq_hist_data_bar_values: float32List(counts.map((_, i) => Math.fround((edges[i]! + edges[i + 1]!) / 2))),
    logits_hist_data_bar_heights: NONE,
    logits_hist_data_bar_values: NONE,
    neuron_alignment_indices: NONE,
    neuron_alignment_l1: NONE,
    neuron_alignment_values: NONE,
    correlated_neurons_indices: NONE,
    correlated_neurons_l1: NONE,
    correlated_neurons_pearson: NONE,
    decoder_weights_dist: NONE,
    neg_str: json(bottomLogits.map(({ id }) => place.token(id))),
    neg_values: float32List(bottomLogits.map(({ value }) => value)),
    pos_str: json(topLogits.map(({ id }) => place.token(id))),
    pos_values: float32List(topLogits.map(({ value }) => value)),
    sourceSetName: text(place.set),
    topkCosSimIndices: json(neighbours.map(({ index }) => index)),
    topkCosSimValues: float32List(neighbours.map(({ cosine }) => cosine)),
    vector: NONE,
    vectorLabel: NOTHING,
    hookName: text(place.hookPoint),
    vectorDefaultSteerStrength: NOTHING,
    hasVector: 'false',
    catalog: objectText({
      meanActivation: float64Text(feature.meanActivation),
      histogramEdges: float32List(edges),
      bottomIds: json(bottomLogits.map(({ id }) => id)),
      topIds: json(topLogits.map(({ id }) => id)),
    }),
  });
}

export function activationLine(place: RowPlace, index: number, exemplar: Exemplar): string {
  const { kind, rank, row, start, ids, activations } = exemplar;
  let strongest = 0;
  let least = activations[0] ?? 0;
  for (const [at, value] of activations.entries()) {
    if (value > activations[strongest]!) strongest = at;
    if (value < least) least = value;
  }
  return objectText({
    id: text(`${place.model}/${place.dictionary}/${index}/${kind}/${rank}`),
    ...placed(place, index),
    creatorId: NOTHING,
    dataSource: NOTHING,
    tokens: json(ids.map((id) => place.token(id))),
    maxValue: float32Text(exemplar.maxActivation),
    minValue: float32Text(least),
    values: float32List(activations),
    maxValueTokenIndex: String(strongest),
    dfaValues: NONE,
    dfaMaxValue: NOTHING,
    dfaTargetIndex: NOTHING,
    binContains: NOTHING,
    binMin: NOTHING,
    binMax: NOTHING,
    catalog: objectText({ kind: text(kind), rank: String(rank), row: String(row), start: String(start), ids: json(ids) }),
  });
}

const fragmentsText = (fragments: readonly FragmentRef[]): string => json(fragments.map(({ row, start, length }) => [row, start, length]));

/** Each list of fragments once, and for each score which of them it was measured on. */
export function judgedOn({ scores }: Pick<Explanation, 'scores'>): { readonly lists: readonly string[]; readonly places: readonly number[] } {
  const lists: string[] = [];
  const places = scores.map(({ fragments }) => {
    const list = fragmentsText(fragments);
    const known = lists.indexOf(list);
    return known >= 0 ? known : lists.push(list) - 1;
  });
  return { lists, places };
}

export function explanationLine(place: RowPlace, explanation: OfRun<Explanation>): string {
  const { index, explainer, model, promptVersion, description, detail, run, fragments } = explanation;
  return objectText({
    id: text(`${place.model}/${place.dictionary}/${index}/${explainer}`),
    ...placed(place, index),
    authorId: NOTHING,
    description: text(description),
    embedding: NONE,
    typeName: text(promptVersion ?? explainer),
    explanationModelName: text(model),
    umap_x: NOTHING,
    umap_y: NOTHING,
    umap_cluster: NOTHING,
    umap_log_feature_sparsity: NOTHING,
    catalog: objectText({
      explainer: text(explainer),
      promptVersion: text(promptVersion),
      run: text(run),
      fragments: fragmentsText(fragments),
      judgedOn: `[${judgedOn(explanation).lists.join(',')}]`,
      detail: json(detail),
    }),
  });
}

export function scoreLines(place: RowPlace, explanation: Explanation): string[] {
  const { places } = judgedOn(explanation);
  return explanation.scores.map((score, i) =>
    objectText({
      ...placed(place, explanation.index),
      explainer: text(explanation.explainer),
      scorer: text(score.scorer),
      judge: text(score.judge),
      promptVersion: text(score.promptVersion),
      value: float64Text(score.value),
      undefinedReason: text(score.undefinedReason),
      n: String(score.n),
      low: float64Text(score.low),
      high: float64Text(score.high),
      judgedOn: String(places[i]!),
    }),
  );
}

/** With the columns of the field's explanations that say something. */
export function personLine(place: RowPlace, { index, explainer, description, owner, weightsHash }: BulkPerson): string {
  return objectText({ id: text(`${place.model}/${place.dictionary}/${index}/${explainer}`), ...placed(place, index), authorId: text(owner), description: text(description), catalog: objectText({ explainer: text(explainer), weightsHash: text(weightsHash) }) });
}

export function skipLine(place: RowPlace, { index, explainer, reason, run }: OfRun<BulkSkip>): string {
  return objectText({ ...placed(place, index), explainer: text(explainer), reason: text(reason), run: text(run) });
}

export function edgeLine(place: RowPlace, edge: OfRun<CircuitEdge>): string {
  return objectText({ ...placed(place, edge.targetIndex), sourceLayer: text(edge.sourceDictionary), sourceIndex: text(String(edge.sourceIndex)), ...measured(edge) });
}

export function outputEdgeLine(place: RowPlace, edge: OfRun<OutputEdge>): string {
  return objectText({ ...placed(place, edge.sourceIndex), tokenId: String(edge.tokenId), token: text(edge.token), ...measured(edge) });
}

export function nearestLine(place: RowPlace, { index, targetDictionary, targetWeightsHash, neighbours, run }: OfRun<BulkNearest>): string {
  return objectText({
    ...placed(place, index), targetLayer: text(targetDictionary), targetWeightsHash: text(targetWeightsHash), run: text(run),
    indices: json(neighbours.map((near) => near.index)), cosines: float32List(neighbours.map(({ cosine }) => cosine)),
  }); // prettier-ignore
}

function measured({ effect, standardError, n, run }: OfRun<CircuitEdge | OutputEdge>): Record<string, string> {
  return { effect: float64Text(effect), standardError: float64Text(standardError), n: String(n), run: text(run) };
}
