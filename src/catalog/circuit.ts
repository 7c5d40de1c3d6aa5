import { CallerError } from '../domain/errors.ts';
import type { CatalogReader, EdgeRow, FeatureKey, OutputEdgeRow, TokenKey } from '../ports/CatalogReader.ts';
import { checkCount, LIMITS } from './limits.ts';

export interface CircuitArgs {
  readonly depth: number;
  readonly minEffect: number;
  readonly perNode: number;
  readonly first: number;
}

/** A feature or a token of a circuit. */
export interface CircuitMember {
  readonly at: FeatureKey | TokenKey;
  /** Steps from the target, 0 for itself. */
  readonly depth: number;
}

export interface CircuitEdges {
  readonly target: CircuitMember;
  /** By depth, the target first. */
  readonly members: readonly CircuitMember[];
  readonly links: readonly { readonly source: CircuitMember; readonly target: CircuitMember; readonly row: EdgeRow | OutputEdgeRow }[];
  readonly truncated: boolean;
}

/** The graph upstream of a target: one statement. */
export async function circuitOf(reader: Pick<CatalogReader, 'circuit'>, at: FeatureKey | TokenKey, args: CircuitArgs): Promise<CircuitEdges> {
  const { minEffect } = args;
  if (!(Number.isFinite(minEffect) && minEffect >= 0)) throw new CallerError('BAD_INPUT', `minEffect is ${minEffect}: expected a number of at least 0`, { field: ['minEffect'] });
  const { edges, truncated } = await reader.circuit({
    target: at,
    depth: checkCount('depth', args.depth, 1, LIMITS.circuitDepth),
    minEffect,
    perNode: checkCount('perNode', args.perNode, 1, LIMITS.page),
    limit: checkCount('first', args.first, 1, LIMITS.circuitEdges),
  });
  const target: CircuitMember = { at, depth: 0 };
  const members = new Map([[keyOf(at), target]]);
  const member = (place: FeatureKey | TokenKey, depth: number): CircuitMember => {
    const found = members.get(keyOf(place)) ?? { at: place, depth };
    members.set(keyOf(place), found);
    return found;
  };
  // Edges come by depth, so that a member is first met where it is nearest.
  const links = edges.map(({ depth, kind, row }) => ({ source: member(row.source, depth + 1), target: kind === 'token' ? target : member(row.target, depth), row }));
  return { target, members: [...members.values()], links, truncated };
}

/** Unique among features and tokens. */
export function keyOf(at: FeatureKey | TokenKey): string {
  return 'model' in at ? `token ${at.id}` : `${at.dictionaryId}/${at.index}`;
}
