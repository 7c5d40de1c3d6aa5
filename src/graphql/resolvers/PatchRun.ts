import { formatAddress } from '../../domain/address.ts';
import type { FeaturePatch, PatchedFeature as DomainPatchedFeature, PatchRun as DomainPatchRun } from '../../domain/patch.ts';
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
  value: (({ asked: { operation } }) =>
    operation.kind === 'scale' ? operation.factor : operation.kind === 'set' ? operation.value : null) satisfies Resolver<PatchedView>,
};
