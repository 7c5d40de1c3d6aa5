import { formatAddress } from '../domain/address.ts';
import { CallerError, invariant } from '../domain/errors.ts';
import type { FeaturePatch, PatchInput, PatchRequest } from '../domain/patch.ts';
import type { CatalogReader, DictionaryRow } from '../ports/CatalogReader.ts';

/**
 * The request with the means it needs. A feature's mean activation is that over all tokens analysed, active or not: its density
 * times its mean where it is active. Throws UNSUPPORTED where the catalog holds no analysis of a feature.
 */
export async function withMeans(reader: Pick<CatalogReader, 'features'>, rows: ReadonlyMap<string, DictionaryRow>, request: PatchRequest): Promise<PatchInput> {
  const wanted = request.features.flatMap(({ feature, operation }, i) => (operation.kind === 'ablate_to_mean' ? [{ feature, i }] : []));
  const keys = wanted.map(({ feature }) => {
    const row = rows.get(feature.dictionary);
    invariant(row !== undefined, 'an unchecked dictionary');
    return { dictionaryId: row.id, index: feature.index };
  });
  const found = keys.length === 0 ? [] : await reader.features(keys);
  const means = new Map<number, number>();
  for (const [n, { feature, i }] of wanted.entries()) {
    const row = found[n];
    if (row === null) {
      throw new CallerError('UNSUPPORTED', `feature ${formatAddress(feature)} was not analysed, so its mean activation is not known: use SET with a value of your own`, {
        field: ['features', String(i), 'operation'],
      });
    }
    means.set(i, row.density * (row.meanActivation ?? 0));
  }
  const features = request.features.map(({ operation, ...rest }, i): FeaturePatch => {
    if (operation.kind !== 'ablate_to_mean') return { ...rest, operation };
    const mean = means.get(i);
    invariant(mean !== undefined, 'a mean was asked for');
    return { ...rest, operation: { kind: 'ablate_to_mean', mean } };
  });
  return { ...request, features };
}
