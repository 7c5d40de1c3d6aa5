import { circuitOf, keyOf, type CircuitArgs, type CircuitMember } from '../../catalog/circuit.ts';
import type { FeatureView } from '../../catalog/features.ts';
import { findToken, type TokenChoice } from '../../catalog/vocabulary.ts';
import { parseAddress } from '../../domain/address.ts';
import { CallerError } from '../../domain/errors.ts';
import type { FeatureKey, TokenKey } from '../../ports/CatalogReader.ts';
import type { Context } from '../context.ts';
import { measured } from './measured.ts';
import { featureAt } from './Node.ts';

export interface CircuitQueryArgs extends CircuitArgs {
  readonly target: { readonly feature?: string | null; readonly token?: TokenChoice | null };
}

/** Exactly one of feature and token is there. */
interface CircuitNodeView {
  readonly depth: number;
  readonly feature: FeatureView | null;
  readonly token: TokenKey | null;
}

/** The circuit of a target; null when the target is unknown. Its features are read in one statement. */
export async function circuit(_: unknown, { target, ...args }: CircuitQueryArgs, context: Context) {
  const at = await targetOf(target, context);
  if (at === null) return null;
  const found = await circuitOf(context.catalog.reader, at, args);
  const views = new Map<string, CircuitNodeView>();
  await Promise.all(
    found.members.map(async (member) => {
      const view = await viewOf(member, context);
      if (view !== null) views.set(keyOf(member.at), view);
    }),
  );
  // What was replaced since its edges were measured is not what they were measured on: left out.
  const inOrder = found.members.flatMap(({ at: place }) => views.get(keyOf(place)) ?? []);
  const edges = found.links.flatMap(({ source, target: end, row }) => {
    const [from, to] = [views.get(keyOf(source.at)), views.get(keyOf(end.at))];
    return from === undefined || to === undefined ? [] : [{ source: from, target: to, row }];
  });
  const top = views.get(keyOf(at));
  return top === undefined ? null : { target: top, nodes: inOrder, edges, truncated: found.truncated };
}

export const CircuitLink = measured;

async function targetOf({ feature, token }: CircuitQueryArgs['target'], context: Context): Promise<FeatureKey | TokenKey | null> {
  const [address, choice] = [feature ?? null, token ?? null];
  if ((address === null) === (choice === null)) {
    throw new CallerError('BAD_INPUT', `target names ${address === null ? 'neither a feature nor a token' : 'a feature and a token'}: expected one of them`, { field: ['target'] });
  }
  return address === null ? findToken(context.catalog.reader, choice!) : ((await featureAt(parseAddress(address), context))?.row ?? null);
}

async function viewOf({ at, depth }: CircuitMember, { loaders }: Context): Promise<CircuitNodeView | null> {
  if ('model' in at) return { depth, feature: null, token: at };
  const feature = await loaders.feature.load(at);
  return feature === null ? null : { depth, feature, token: null };
}
