import type { Run as DomainRun } from '../../domain/run.ts';
import type { Resolver } from '../context.ts';
import { toGlobalId } from '../ids.ts';

export const Run = {
  id: ((run) => toGlobalId('Run', run.key)) satisfies Resolver<DomainRun>,
  inputs: ((run) =>
    Object.entries(run.inputs)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, hash]) => ({ name, hash }))) satisfies Resolver<DomainRun>,
};
