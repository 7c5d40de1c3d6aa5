import { createHash } from 'node:crypto';
import { formatAddress } from '../domain/address.ts';
import type { PatchInput, PatchOperation } from '../domain/patch.ts';
import type { DictionaryRow, ModelRow } from '../ports/CatalogReader.ts';

/** Changes whenever the meaning of a patch does, so that stored results of the old meaning are not taken for new ones. */
const SEMANTICS = 'patch-2';

/**
 * sha-256 over what determines the result: semantics, weights, tokenizer, dictionaries, input. A field that is left out and
 * one that says what is the default anyway are the same.
 */
export function patchId(model: ModelRow, rows: ReadonlyMap<string, DictionaryRow>, input: PatchInput): string {
  const dictionaries = [...rows].map(([name, row]) => [name, row.weightsHash]).sort(([a], [b]) => (a < b ? -1 : 1));
  const features = input.features.map(({ feature, operation, positions }) => [formatAddress(feature), operation.kind, numberOf(operation), positions]);
  const { readPositions, error = 'keep', allPositions = false, loss = false, tokens = [], logitDifference = [], watch = [] } = input;
  const last = readPositions?.length === 1 && readPositions[0] === -1;
  const canonical = [
    SEMANTICS,
    model.weightsHash,
    model.tokenizerHash,
    dictionaries,
    input.base,
    input.target,
    features,
    last ? null : readPositions,
    input.topTokens,
    error,
    allPositions,
    loss,
    tokens,
    logitDifference.map(({ positive, negative }) => [positive, negative]),
    watch.map(formatAddress),
  ];
  return createHash('sha256').update(JSON.stringify(canonical)).digest('hex');
}

/** The number an operation carries, as the API shows it; null where it has none. */
export function numberOf(operation: PatchOperation): number | null {
  switch (operation.kind) {
    case 'scale':
      return operation.factor;
    case 'set':
    case 'add':
      return operation.value;
    case 'ablate_to_mean':
      return operation.mean;
    default:
      return null;
  }
}
