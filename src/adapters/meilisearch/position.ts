import { CallerError } from '../../domain/errors.ts';
import type { SearchMatched, SearchPosition, SearchRequest } from '../../ports/FeatureSearch.ts';

/** Where a hit lies: how it was found, hits up to and with it, and the building of the index that this holds for. */
export interface MeiliPosition {
  readonly mode: SearchMatched;
  readonly offset: number;
  readonly generation: string;
}

const MODES: readonly SearchMatched[] = ['words', 'prefix', 'similar', 'semantic'];

export const positionOf = ({ mode, offset, generation }: MeiliPosition): SearchPosition => [mode, offset, generation];

/** Reads a position that positionOf gave; refuses any other. */
export function readPosition(after: SearchRequest['after']): MeiliPosition | null {
  if (after === null) return null;
  const [mode, offset, generation, ...more] = after.position;
  const known = MODES.find((one) => one === mode);
  if (after.engine !== 'meilisearch' || known === undefined || !Number.isSafeInteger(offset) || (offset as number) < 1 || typeof generation !== 'string' || more.length > 0) {
    throw new CallerError('BAD_CURSOR', 'after is no cursor of this search: begin at the first page', { field: ['after'] });
  }
  return { mode: known, offset: offset as number, generation };
}
