import { numberOf } from '../../catalog/steerInput.ts';
import { formatAddress } from '../../domain/address.ts';
import { CallerError } from '../../domain/errors.ts';
import type { HookPoint } from '../../domain/hookPoint.ts';
import type { FeatureSteer, SteerInput, SteerOperation, SteerRun as DomainSteerRun, WrittenText as DomainWrittenText } from '../../domain/steer.ts';
import type { Resolver } from '../context.ts';
import { userErrorOf } from '../errors.ts';
import { addressAt } from '../patchArgs.ts';
import { featureAt } from './Node.ts';

interface FeatureSteerInput {
  readonly feature: string;
  readonly operation: SteerOperation['kind'];
  readonly value?: number | null;
}

interface SteerArgs {
  readonly input: Omit<SteerInput, 'features'> & { readonly features: readonly FeatureSteerInput[] };
}

interface SteeredView {
  readonly asked: FeatureSteer;
  readonly hookPoint: HookPoint;
}

/** The mutation. */
export const steer = (async (_, { input }, { catalog }) => {
  try {
    return { steerRun: await catalog.steer({ ...input, features: input.features.map(featureSteerOf) }), userErrors: [] };
  } catch (error) {
    const userError = userErrorOf(error);
    if (userError === null) throw error;
    return { steerRun: null, userErrors: [userError] };
  }
}) satisfies Resolver<unknown, SteerArgs>;

function featureSteerOf({ feature, operation, value }: FeatureSteerInput, i: number): FeatureSteer {
  const at = (name: string): string[] => ['features', String(i), name];
  return { feature: addressAt(feature, at('feature')), operation: operationOf(operation, value ?? null, at('value')) };
}

function operationOf(kind: SteerOperation['kind'], value: number | null, field: readonly string[]): SteerOperation {
  const name = kind.toUpperCase();
  if (kind === 'ablate') {
    if (value !== null) throw new CallerError('BAD_INPUT', `${name} takes no value, found ${value}`, { field });
    return { kind };
  }
  if (value === null) throw new CallerError('BAD_INPUT', `${name} needs a value`, { field });
  return kind === 'scale' ? { kind, factor: value } : { kind, value };
}

export const SteerRun = {
  hash: ((run) => run.id) satisfies Resolver<DomainSteerRun>,
  modelName: ((run) => run.input.model) satisfies Resolver<DomainSteerRun>,
  model: ((run, _, { loaders }) => loaders.model.load(run.input.model)) satisfies Resolver<DomainSteerRun>,
  prompt: ((run) => run.input.prompt) satisfies Resolver<DomainSteerRun>,
  maxTokens: ((run) => run.input.maxTokens) satisfies Resolver<DomainSteerRun>,
  temperature: ((run) => run.input.temperature) satisfies Resolver<DomainSteerRun>,
  topP: ((run) => run.input.topP) satisfies Resolver<DomainSteerRun>,
  seed: ((run) => run.input.seed) satisfies Resolver<DomainSteerRun>,
  steerPrompt: ((run) => run.input.steerPrompt) satisfies Resolver<DomainSteerRun>,
  chat: ((run) => run.input.chat) satisfies Resolver<DomainSteerRun>,
  features: ((run) => run.input.features.map((asked, i): SteeredView => ({ asked, hookPoint: run.hookPoints[i] }))) satisfies Resolver<DomainSteerRun>,
};

export const SteeredFeature = {
  address: (({ asked }) => formatAddress(asked.feature)) satisfies Resolver<SteeredView>,
  feature: (({ asked }, _, context) => featureAt(asked.feature, context)) satisfies Resolver<SteeredView>,
  operation: (({ asked }) => asked.operation.kind) satisfies Resolver<SteeredView>,
  value: (({ asked }) => numberOf(asked.operation)) satisfies Resolver<SteeredView>,
};

export const WrittenText = {
  logProb: (({ tokens }) => tokens.reduce((sum, { logProb }) => sum + logProb, 0)) satisfies Resolver<DomainWrittenText>,
  unsteeredLogProb: (({ tokens }) => tokens.reduce((sum, { unsteeredLogProb }) => sum + unsteeredLogProb, 0)) satisfies Resolver<DomainWrittenText>,
};
