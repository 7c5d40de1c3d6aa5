import { CallerError } from '../../src/domain/errors.ts';
import type { Exemplar } from '../../src/domain/feature.ts';
import type { CatalogReader, DictionaryRow, FeatureKey } from '../../src/ports/CatalogReader.ts';
import type { FeatureTableData, TableFeature, TableToken } from '../../src/ports/FeatureTable.ts';

export interface TableChoice {
  readonly model: string;
  /** Names of dictionaries. */
  readonly dictionaries: readonly string[];
  /** Features of each. */
  readonly features: number;
  /** By index, as the paper (a fair sample), or the best scored first (what was found at best). */
  readonly order: 'index' | 'score';
  /** Only descriptions by this explainer; null: all. */
  readonly explainer: string | null;
  /** Windows shown of each feature. */
  readonly exemplars: number;
}

/** Tokens shown on each side of the strongest one. */
const AROUND = 14;
const PROMOTED = 5;

/** Reads sample features from a catalog. Throws NOT_FOUND with what there is. */
export async function featureTable(reader: CatalogReader, choice: TableChoice): Promise<FeatureTableData> {
  const rows = (await reader.dictionaries({ model: choice.model })).filter(({ model }) => model === choice.model);
  const chosen = choice.dictionaries.map((name) => {
    const row = rows.find((one) => one.name === name);
    if (row === undefined) throw new CallerError('NOT_FOUND', `the catalog holds no dictionary ${choice.model}/${name}; ${rows.length === 0 ? 'it has none of this model: load some first' : `it has ${rows.map((one) => one.name).join(', ')}`}`);
    return row;
  });
  const dictionaries = [];
  for (const row of chosen) dictionaries.push({ name: `${row.model}/${row.name}`, facts: factsOf(row), features: await featuresOf(reader, row, choice) });
  const order = choice.order === 'index' ? `The first ${choice.features} features by index, as in the paper's Table 1: a sample, not a choice.` : `The ${choice.features} features with the highest scores: what the dictionary has to show at best, not what is typical of it.`;
  return {
    title: `Features of ${choice.model}`,
    notes: [
      order,
      'Scores with their 95 % bootstrap intervals over fragments; scores of different instruments or judges cannot be compared with each other.',
      `Text: windows of up to ${2 * AROUND + 1} tokens around the strongest; a token's shade is its activation as a share of the window's strongest.`,
    ],
    dictionaries,
  };
}

function factsOf({ hookPoint, architecture, nFeatures, quality, tokensAnalysed }: DictionaryRow): [string, string][] {
  return [
    ['read at', hookPoint],
    ['architecture', `${architecture}, ${nFeatures} features`],
    ...(quality === null ? [] : [['FVU', quality.fvu.toFixed(3)] as [string, string], ['L0', quality.l0.toFixed(1)] as [string, string]]),
    ...(tokensAnalysed === null ? [] : [['tokens analysed', String(tokensAnalysed)] as [string, string]]),
  ];
}

async function featuresOf(reader: CatalogReader, dictionary: DictionaryRow, choice: TableChoice): Promise<TableFeature[]> {
  const { rows } = await reader.featurePage({ dictionaryIds: [dictionary.id] }, choice.order === 'index' ? 'INDEX' : 'SCORE_DESC', choice.features, null);
  const keys: FeatureKey[] = rows.map(({ dictionaryId, index }) => ({ dictionaryId, index }));
  const [explanations, exemplars, skips] = await Promise.all([reader.explanations(keys), reader.exemplars(keys, ['top'], choice.exemplars), reader.skips(keys)]);
  const promoted = rows.map(({ topLogits }) => topLogits.slice(0, PROMOTED).map(({ id }) => id));
  const ids = [...new Set([...promoted.flat(), ...exemplars.flat().flatMap((exemplar) => exemplar.ids)])];
  const texts = new Map((await reader.tokens(dictionary.model, ids)).map((text, i) => [ids[i]!, text ?? `[${ids[i]}]`]));
  const wanted = ({ explainer }: { readonly explainer: string }): boolean => choice.explainer === null || explainer === choice.explainer;
  if (choice.explainer !== null && !explanations.flat().some(wanted) && !skips.flat().some(wanted)) {
    const there = [...new Set([...explanations.flat(), ...skips.flat()].map(({ explainer }) => explainer))];
    throw new CallerError('NOT_FOUND', `none of these features of ${dictionary.model}/${dictionary.name} was given to explainer ${choice.explainer}; they were given to ${there.join(', ') || 'none'}`);
  }
  return rows.map(({ index, density, maxActivation }, i) => ({
    address: `${dictionary.model}/${dictionary.name}/${index}`,
    density,
    maxActivation,
    explanations: explanations[i].filter(wanted),
    skipped: skips[i].filter(wanted),
    promotes: promoted[i].map((id) => texts.get(id)!),
    exemplars: exemplars[i].map((exemplar) => around(exemplar).map(({ id, activation }): TableToken => ({ text: texts.get(id)!, activation }))),
  }));
}

/** The tokens about the strongest one. */
function around({ ids, activations }: Exemplar): { id: number; activation: number }[] {
  const peak = activations.indexOf(Math.max(...activations));
  const from = Math.max(0, peak - AROUND);
  return ids.slice(from, peak + AROUND + 1).map((id, i) => ({ id, activation: activations[from + i]! }));
}
