import { formatAddress, parseAddress, type FeatureAddress } from '../../domain/address.ts';
import { CallerError } from '../../domain/errors.ts';
import type { FeatureView } from '../../catalog/features.ts';
import type { Context } from '../context.ts';
import { fromGlobalId, type NodeType } from '../ids.ts';
import { annotationNodes } from './Annotations.ts';

/** The feature at an address; null when the dictionary or the index is unknown. */
export async function featureAt(address: FeatureAddress, { loaders }: Context): Promise<FeatureView | null> {
  const dictionary = await loaders.dictionaryByName.load(`${address.model}/${address.dictionary}`);
  if (dictionary === null || address.index >= dictionary.nFeatures) return null;
  return loaders.feature.load({ dictionaryId: dictionary.id, index: address.index });
}

/** The object of a global id, tagged with its type; null when there is none. */
export async function loadNode(id: string, context: Context): Promise<object | null> {
  const global = fromGlobalId(id);
  if (global === null) return null;
  const value = await BY_TYPE[global.type](global.key, context);
  return value === null ? null : { ...value, __typename: global.type };
}

const BY_TYPE: Readonly<Record<NodeType, (key: string, context: Context) => Promise<object | null>>> = {
  Model: (key, { loaders }) => loaders.model.load(key),
  Dictionary: async (key, { loaders }) => (key.split('/').length === 2 ? loaders.dictionaryByName.load(key) : null),
  Feature: (key, context) => orNull(() => featureAt(canonical(key), context)),
  Explanation: (key, context) =>
    orNull(async () => {
      const [model, dictionary, index, ...explainer] = key.split('/');
      const view = await featureAt(canonical(`${model}/${dictionary}/${index}`), context);
      if (view === null) return null;
      const rows = await context.loaders.explanations.load(view.row);
      const row = rows.find((candidate) => candidate.explainer === explainer.join('/'));
      return row === undefined ? null : { row, view };
    }),
  Run: (key, { loaders }) => loaders.run.load(key),
  PatchRun: (key, { catalog }) => catalog.reader.patchRun(key),
  ...annotationNodes,
};

/** An address as ids hold it: `007` names the feature 7, but is not its id. */
function canonical(text: string): FeatureAddress {
  const address = parseAddress(text);
  if (formatAddress(address) !== text) throw new CallerError('BAD_INPUT', `${text} is no canonical address`);
  return address;
}

/** An id made by hand may hold an impossible address: that names nothing, rather than being an error. */
async function orNull<T>(load: () => Promise<T>): Promise<T | null> {
  try {
    return await load();
  } catch (error) {
    if (error instanceof CallerError && error.code === 'BAD_INPUT') return null;
    throw error;
  }
}
