import { numberOf } from '../../catalog/patchIdentity.ts';
import { formatAddress } from '../../domain/address.ts';
import type { FeaturePatch, PatchedFeature as DomainPatchedFeature, PatchLoss as DomainPatchLoss, PatchPosition as DomainPatchPosition, PatchRun as DomainPatchRun } from '../../domain/patch.ts';
import type { Resolver } from '../context.ts';
import { toGlobalId } from '../ids.ts';
import { featureAt } from './Node.ts';

interface PatchedView {
  readonly asked: FeaturePatch;
  readonly done: DomainPatchedFeature;
}

export const PatchRun = {
  id: ((run) => toGlobalId('PatchRun', run.id)) satisfies Resolver<DomainPatchRun>,
  hash: ((run) => run.id) satisfies Resolver<DomainPatchRun>,
  modelName: ((run) => run.input.model) satisfies Resolver<DomainPatchRun>,
  model: ((run, _, { loaders }) => loaders.model.load(run.input.model)) satisfies Resolver<DomainPatchRun>,
  base: ((run) => run.input.base) satisfies Resolver<DomainPatchRun>,
  target: ((run) => run.input.target) satisfies Resolver<DomainPatchRun>,
  tokens: ((run) => run.result.tokens) satisfies Resolver<DomainPatchRun>,
  targetTokens: ((run) => run.result.targetTokens) satisfies Resolver<DomainPatchRun>,
  positions: ((run) => run.result.positions) satisfies Resolver<DomainPatchRun>,
  editMagnitude: ((run) => run.result.editMagnitude) satisfies Resolver<DomainPatchRun>,
  editMagnitudes: ((run) => run.result.editMagnitudes ?? null) satisfies Resolver<DomainPatchRun>,
  error: ((run) => run.input.error ?? 'keep') satisfies Resolver<DomainPatchRun>,
  loss: ((run) => run.result.loss ?? null) satisfies Resolver<DomainPatchRun>,
  watched: ((run) => run.result.watched ?? []) satisfies Resolver<DomainPatchRun>,
  features: ((run) => run.result.features.map((done, i): PatchedView => ({ asked: run.input.features[i]!, done }))) satisfies Resolver<DomainPatchRun>,
};

export const PatchedFeature = {
  address: (({ done }) => formatAddress(done.feature)) satisfies Resolver<PatchedView>,
  feature: (({ done }, _, context) => featureAt(done.feature, context)) satisfies Resolver<PatchedView>,
  hookPoint: (({ done }) => done.hookPoint) satisfies Resolver<PatchedView>,
  before: (({ done }) => done.before) satisfies Resolver<PatchedView>,
  after: (({ done }) => done.after) satisfies Resolver<PatchedView>,
  positions: (({ asked }) => asked.positions) satisfies Resolver<PatchedView>,
  operation: (({ asked }) => asked.operation.kind) satisfies Resolver<PatchedView>,
  value: (({ asked: { operation } }) => numberOf(operation)) satisfies Resolver<PatchedView>,
};

/** Runs stored before these were measured have none. */
export const PatchPosition = {
  namedTokens: ((position) => position.namedTokens ?? []) satisfies Resolver<DomainPatchPosition>,
  logitDifferences: ((position) => position.logitDifferences ?? []) satisfies Resolver<DomainPatchPosition>,
};

export const PatchLoss = {
  meanBase: (({ base }) => mean(base)) satisfies Resolver<DomainPatchLoss>,
  meanPatched: (({ patched }) => mean(patched)) satisfies Resolver<DomainPatchLoss>,
  meanChange: (({ base, patched }) => mean(patched.map((loss, t) => loss - base[t]))) satisfies Resolver<DomainPatchLoss>,
};

export const WatchedFeature = {
  address: (({ feature }) => formatAddress(feature)) satisfies Resolver<DomainPatchedFeature>,
  feature: (({ feature }, _, context) => featureAt(feature, context)) satisfies Resolver<DomainPatchedFeature>,
};

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}
