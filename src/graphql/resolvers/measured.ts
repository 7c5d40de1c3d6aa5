import { intervalOf } from '../../catalog/edges.ts';
import type { Resolver } from '../context.ts';

/** An edge of any kind, as an object of the contract holds it. */
interface MeasuredView {
  readonly row: { readonly effect: number; readonly standardError: number; readonly n: number; readonly run: string };
}

/** What all measured edges say of themselves. */
export const measured = {
  effect: (({ row }) => row.effect) satisfies Resolver<MeasuredView>,
  standardError: (({ row }) => row.standardError) satisfies Resolver<MeasuredView>,
  n: (({ row }) => row.n) satisfies Resolver<MeasuredView>,
  interval: (({ row }) => intervalOf(row)) satisfies Resolver<MeasuredView>,
  run: (({ row }, _, { loaders }) => loaders.run.load(row.run)) satisfies Resolver<MeasuredView>,
};
