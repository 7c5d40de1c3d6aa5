import { parseAddress, type FeatureAddress } from '../domain/address.ts';
import { CallerError } from '../domain/errors.ts';
import type { AskedOperation, PatchOperation, PatchRequest, TokenPair } from '../domain/patch.ts';

interface FeaturePatchInput {
  readonly feature: string;
  readonly operation: PatchOperation['kind'];
  readonly value?: number | null;
  readonly positions?: readonly number[] | null;
}

/** PatchInput of the contract, as graphql-js gives it. */
export interface PatchInputArg {
  readonly model: string;
  readonly base: string;
  readonly target?: string | null;
  readonly features: readonly FeaturePatchInput[];
  readonly readPositions?: readonly number[] | null;
  readonly topTokens: number;
  readonly error: 'keep' | 'remove';
  readonly allPositions: boolean;
  readonly tokens?: readonly string[] | null;
  readonly logitDifference?: readonly TokenPair[] | null;
  readonly loss: boolean;
  readonly watch?: readonly string[] | null;
}

/** What the catalog is asked for; throws CallerError with the field where an address or a value makes no sense. */
export function patchRequestOf(input: PatchInputArg): PatchRequest {
  const { model, base, topTokens, error, allPositions, loss } = input;
  return {
    model,
    base,
    target: input.target ?? null,
    features: input.features.map((patch, i) => ({
      feature: addressAt(patch.feature, ['features', String(i), 'feature']),
      operation: operationOf(patch, ['features', String(i), 'value']),
      positions: patch.positions ?? null,
    })),
    readPositions: input.readPositions ?? null,
    topTokens,
    error,
    allPositions,
    loss,
    tokens: input.tokens ?? [],
    logitDifference: (input.logitDifference ?? []).map(({ positive, negative }) => ({ positive, negative })),
    watch: (input.watch ?? []).map((address, i) => addressAt(address, ['watch', String(i)])),
  };
}

/** The requests of a list, and what is wrong with those that are none, by place. */
export function patchRequestsOf(inputs: readonly PatchInputArg[]): { readonly requests: readonly PatchRequest[]; readonly places: readonly number[]; readonly errors: ReadonlyMap<number, CallerError> } {
  const requests: PatchRequest[] = [];
  const places: number[] = [];
  const errors = new Map<number, CallerError>();
  for (const [i, input] of inputs.entries()) {
    try {
      requests.push(patchRequestOf(input));
      places.push(i);
    } catch (error) {
      if (!(error instanceof CallerError)) throw error;
      errors.set(i, error);
    }
  }
  return { requests, places, errors };
}

/** The address, or the error with the field it was given in. */
export function addressAt(text: string, field: readonly string[]): FeatureAddress {
  try {
    return parseAddress(text);
  } catch (error) {
    if (error instanceof CallerError && error.field === undefined) throw new CallerError(error.code, error.message, { cause: error, field });
    throw error;
  }
}

function operationOf({ operation, value }: FeaturePatchInput, field: readonly string[]): AskedOperation {
  const given = value ?? null;
  const name = operation.toUpperCase();
  if (operation === 'scale' || operation === 'set' || operation === 'add') {
    if (given === null) throw new CallerError('BAD_INPUT', `${name} needs a value`, { field });
    return operation === 'scale' ? { kind: 'scale', factor: given } : { kind: operation, value: given };
  }
  if (given !== null) throw new CallerError('BAD_INPUT', `${name} takes no value, found ${given}`, { field });
  return { kind: operation };
}
