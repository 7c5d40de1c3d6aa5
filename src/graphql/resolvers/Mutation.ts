import { LIMITS } from '../../catalog/limits.ts';
import type { PatchOutcome } from '../../catalog/patch.ts';
import { checkNumber } from '../../catalog/patchRequests.ts';
import type { PatchRun } from '../../domain/patch.ts';
import type { Resolver } from '../context.ts';
import { userErrorOf, type UserError } from '../errors.ts';
import { addressAt, patchRequestOf, patchRequestsOf, type PatchInputArg } from '../patchArgs.ts';
import { annotationMutations } from './Annotations.ts';
import type { ExplanationView } from './Explanation.ts';
import { steer } from './SteerRun.ts';

interface ExplainFeatureArgs {
  readonly input: { readonly feature: string; readonly method?: string | null; readonly scorers?: readonly string[] | null };
}

interface AblateInput {
  readonly model: string;
  readonly prompt: string;
  readonly features: readonly string[];
  readonly positions?: readonly number[] | null;
}

export const Mutation = {
  patch: (async (_, { input }, { catalog }) => payloadOf(async () => catalog.patch(patchRequestOf(input)))) satisfies Resolver<unknown, { readonly input: PatchInputArg }>,
  patches: (async (_, { input: { patches } }, { catalog }) => {
    try {
      checkNumber(patches, LIMITS.patches);
    } catch (error) {
      return { results: null, userErrors: [userErrorIn(error)] };
    }
    const { requests, places, errors } = patchRequestsOf(patches);
    const results: unknown[] = [];
    for (const [i, error] of errors) results[i] = { patchRun: null, userErrors: [userErrorIn(error)] };
    const outcomes = requests.length === 0 ? [] : await catalog.patches(requests);
    for (const outcome of outcomes) results[places[outcome.index]] = await payloadOf(async () => runOf(outcome));
    return { results, userErrors: [] };
  }) satisfies Resolver<unknown, { readonly input: { readonly patches: readonly PatchInputArg[] } }>,
  ablate: (async (_, { input: { model, prompt, features, positions } }, { catalog }) => {
    const payload = await payloadOf(async () =>
      catalog.patch({
        model,
        base: prompt,
        target: null,
        features: features.map((address, i) => ({ feature: addressAt(address, ['features', String(i)]), operation: { kind: 'ablate' }, positions: positions ?? null })),
        readPositions: null,
        topTokens: ABLATE_TOP_TOKENS,
      }),
    );
    return { ...payload, userErrors: payload.userErrors.map(ablateError) };
  }) satisfies Resolver<unknown, { readonly input: AblateInput }>,
  steer,
  ...annotationMutations,
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

/** PatchInput.topTokens where nothing is said. */
const ABLATE_TOP_TOKENS = 5;

/** The answer to a mutation of one patch. */
async function payloadOf(run: () => Promise<PatchRun>): Promise<{ readonly patchRun: PatchRun | null; readonly userErrors: readonly UserError[] }> {
  try {
    return { patchRun: await run(), userErrors: [] };
  } catch (error) {
    return { patchRun: null, userErrors: [userErrorIn(error)] };
  }
}

/** The user error; throws what is none. */
function userErrorIn(error: unknown): UserError {
  const userError = userErrorOf(error);
  if (userError === null) throw error;
  return userError;
}

function runOf(outcome: PatchOutcome): PatchRun {
  if ('error' in outcome) throw outcome.error;
  return outcome.run;
}

/** Fields as `ablate` calls them. */
function ablateError(error: UserError): UserError {
  const [first, place, ...rest] = error.field ?? [];
  if (first === 'base') return { ...error, field: ['prompt'], message: error.message.replace(/^base /, 'prompt ') };
  if (first !== 'features' || place === undefined) return error;
  // All edits share their positions.
  return { ...error, field: rest[0] === 'positions' ? rest : ['features', place] };
}
