import { parseAddress, type FeatureAddress } from '../../domain/address.ts';
import { CallerError } from '../../domain/errors.ts';
import type { FeaturePatch, PatchInput, PatchOperation } from '../../domain/patch.ts';
import type { Resolver } from '../context.ts';
import { userErrorOf } from '../errors.ts';
import type { ExplanationView } from './Explanation.ts';

export type OperationKind = PatchOperation['kind'];

interface FeaturePatchInput {
  readonly feature: string;
  readonly operation: OperationKind;
  readonly value?: number | null;
  readonly positions?: readonly number[] | null;
}

interface ExplainFeatureArgs {
  readonly input: { readonly feature: string; readonly method?: string | null; readonly scorers?: readonly string[] | null };
}

interface PatchArgs {
  readonly input: {
    readonly model: string;
    readonly base: string;
    readonly target?: string | null;
    readonly features: readonly FeaturePatchInput[];
    readonly readPositions?: readonly number[] | null;
    readonly topTokens: number;
  };
}

export const Mutation = {
  patch: (async (_, { input }, { catalog }) => {
    try {
      return { patchRun: await catalog.patch(patchInputOf(input)), userErrors: [] };
    } catch (error) {
      const userError = userErrorOf(error);
      if (userError === null) throw error;
      return { patchRun: null, userErrors: [userError] };
    }
  }) satisfies Resolver<unknown, PatchArgs>,
  explainFeature: (async (_, { input: { feature, method, scorers } }, { catalog, loaders }) => {
    try {
      const done = await catalog.explainFeature({ feature: addressAt(feature, ['feature']), method: method ?? null, scorers: scorers ?? [] });
      if (done.kind === 'skipped') return { explanation: null, skipped: done.reason, userErrors: [] };
      const { row, view } = done;
      // What this request read before is no longer so.
      for (const loader of [loaders.feature, loaders.explanations, loaders.explanationTexts, loaders.skips]) loader.clear(view.row);
      return { explanation: { row, view } satisfies ExplanationView, skipped: null, userErrors: [] };
    } catch (error) {
      const userError = userErrorOf(error);
      if (userError === null) throw error;
      return { explanation: null, skipped: null, userErrors: [userError] };
    }
  }) satisfies Resolver<unknown, ExplainFeatureArgs>,
};

function patchInputOf(input: PatchArgs['input']): PatchInput {
  return {
    model: input.model,
    base: input.base,
    target: input.target ?? null,
    features: input.features.map(featurePatchOf),
    readPositions: input.readPositions ?? null,
    topTokens: input.topTokens,
  };
}

function featurePatchOf(patch: FeaturePatchInput, i: number): FeaturePatch {
  const at = (name: string): string[] => ['features', String(i), name];
  const feature = addressAt(patch.feature, at('feature'));
  return { feature, operation: operationOf(patch, at('value')), positions: patch.positions ?? null };
}

/** The address, or the error with the field it was given in. */
function addressAt(text: string, field: readonly string[]): FeatureAddress {
  try {
    return parseAddress(text);
  } catch (error) {
    if (error instanceof CallerError && error.field === undefined) throw new CallerError(error.code, error.message, { cause: error, field });
    throw error;
  }
}

function operationOf({ operation, value }: FeaturePatchInput, field: readonly string[]): PatchOperation {
  const given = value ?? null;
  const name = operation.toUpperCase();
  if (operation === 'scale' || operation === 'set') {
    if (given === null) throw new CallerError('BAD_INPUT', `${name} needs a value`, { field });
    return operation === 'scale' ? { kind: 'scale', factor: given } : { kind: 'set', value: given };
  }
  if (given !== null) throw new CallerError('BAD_INPUT', `${name} takes no value, found ${given}`, { field });
  return { kind: operation };
}
