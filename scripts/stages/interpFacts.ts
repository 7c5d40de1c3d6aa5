import { readManifest } from '../../src/adapters/files/runStore.ts';
import type { ComparedDictionary } from '../../src/pipelines/interpReport.ts';
import { CODE_VERSION } from '../../src/version.ts';
import type { ComparedText } from './interpText.ts';
import { withTokens } from './tokens.ts';

/** How a comparison was made: label and value, from the runs and from what the records say. */
export async function interpFacts(
  model: { readonly name: string; readonly weightsHash: string; readonly tokenizerHash: string },
  text: ComparedText,
  dictionaries: readonly ComparedDictionary[],
  { features, minFragments, seed }: { readonly features: number | 'all'; readonly minFragments: number; readonly seed: number },
): Promise<[string, string][]> {
  const { run } = await readManifest(text.dir);
  const explanations = dictionaries.flatMap(({ outcomes }) => outcomes.flatMap((outcome) => (outcome.kind === 'explained' ? [outcome.explanation] : [])));
  const scores = explanations.flatMap((explanation) => explanation.scores);
  const names = (values: readonly (string | null)[]): string => [...new Set(values.filter((value) => value !== null))].join(', ') || '–';
  const size = await withTokens(text.dir, async ({ rows, cols }) => ({ rows, cols }));
  return [
    ['model', `${model.name}, weights ${model.weightsHash}, tokenizer ${model.tokenizerHash}`],
    ['text', `${JSON.stringify(run.params['text'])}, run tokens ${run.key}: ${size.rows} rows of ${size.cols} tokens; made from the first ${text.trainRows}`],
    ['explainer', names(explanations.map(({ explainer }) => explainer))],
    ['language model that explains', names(explanations.map((explanation) => explanation.model))],
    ['prompts', names([...explanations, ...scores].map(({ promptVersion }) => promptVersion))],
    ['judges', names(scores.map(({ judge }) => judge))],
    ['features asked for', String(features)],
    ['fragments with varying activation a feature needs', String(minFragments)],
    ['seed', String(seed)],
    ['program', `feature-catalog ${CODE_VERSION}`],
  ];
}

/** What a reader must know to read the figures rightly. */
export function interpNotes(features: number | 'all'): string[] {
  return [
    `Features are ${features === 'all' ? 'all those' : `the first ${features} by index`} of each dictionary, as the paper took them. The index means nothing for trained dictionaries, dimensions and random directions; components of PCA and ICA stand in the order of the variance they explain.`,
    "A feature's top fragments are ranked by its positive activation, as for the paper's Fig. 2. The two signs of a PCA or ICA component are two features here, of which the positive one takes part. ICA's sign is fixed on the text it was fitted to (the stronger tail is positive; in the paper's code it is arbitrary); PCA's is arbitrary.",
    'Descriptions are made from some of the top fragments and scored on others and on random ones; no scored fragment shares a token with one that was explained.',
    'A high score says that activations can be predicted from the description, not that the feature matters to the model. Scores of different instruments or judges cannot be compared with each other.',
  ];
}
