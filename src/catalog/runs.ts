import type { Run } from '../domain/run.ts';
import type { CatalogReader } from '../ports/CatalogReader.ts';
import { decodeCursor, encodeCursor, scopeHash } from './cursor.ts';
import { CallerError } from '../domain/errors.ts';
import { checkFirst, checkText, LIMITS } from './limits.ts';
import type { Page, PageArgs } from './page.ts';

export interface RunPageArgs extends PageArgs {
  /** Only runs of this stage. */
  readonly stage?: string | null;
}

/** Runs of the catalog, newest start first. One statement. */
export async function runPage(reader: CatalogReader, args: RunPageArgs): Promise<Page<Run>> {
  const first = checkFirst(args.first);
  const stage = args.stage === null || args.stage === undefined ? null : checkText('stage', args.stage, LIMITS.nameCharacters);
  const scope = stage === null ? 'runs' : `runs ${scopeHash(stage)}`;
  const after = args.after ?? null;
  const [startedAt, key] = after === null ? [] : (decodeCursor(scope, ['string', 'string'], after) as string[]);
  if (startedAt !== undefined && Number.isNaN(Date.parse(startedAt))) throw new CallerError('BAD_CURSOR', 'after is a damaged cursor: expected an endCursor of the same list', { field: ['after'] });
  const page = await reader.runPage(stage, first, startedAt === undefined ? null : { startedAt: new Date(startedAt).toISOString(), key: key! });
  return { edges: page.rows.map((node) => ({ node, cursor: encodeCursor(scope, [node.startedAt, node.key]) })), hasNext: page.hasNext, hasPrevious: after !== null };
}
