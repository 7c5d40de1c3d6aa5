import { CallerError, OutsideError } from '../domain/errors.ts';
import type { PatchInput, PatchRequest, PatchRun } from '../domain/patch.ts';
import type { CatalogReader, DictionaryRow, ModelRow } from '../ports/CatalogReader.ts';
import type { LiveModels } from '../ports/LiveModels.ts';
import type { Turns } from './gate.ts';
import { LIMITS } from './limits.ts';
import { patchId } from './patchIdentity.ts';
import { checkPatchInput } from './patchInput.ts';
import { withMeans } from './patchMeans.ts';
import { numbersOf, runPatches, type PatchToRun } from './patchRuns.ts';

export interface PatchServiceParts {
  readonly reader: Pick<CatalogReader, 'models' | 'dictionaries' | 'features' | 'patchRun' | 'savePatchRun'>;
  readonly live: Pick<LiveModels, 'open' | 'dictionary'>;
  readonly codeVersion: string;
}

export interface PatchOptions {
  readonly turns: Turns;
  /** Patches that run together, at most. */
  readonly group: number;
  /** Ends it: what has not begun does not begin, and the reason is thrown. */
  readonly signal?: AbortSignal;
}

/** What came of one patch of several: its place, and its run or what is wrong with it. */
export type PatchOutcome = { readonly index: number; readonly run: PatchRun } | { readonly index: number; readonly error: CallerError };

export interface PatchService {
  /**
   * Runs patches, or finds them in the catalog when the same ones were run on the same weights. Group by group, those of one
   * model in one run of the engine; equal ones run once, whoever asks. An outcome each, those of a group in no order; errors are
   * BAD_INPUT, NOT_FOUND, LIMIT_EXCEEDED, TEXT_TOO_LONG, UNSUPPORTED, MODEL_UNAVAILABLE, BUSY, and name the field. Throws what is
   * not the caller's mistake.
   */
  patchEach(requests: readonly PatchRequest[], options: PatchOptions): AsyncGenerator<PatchOutcome, void, undefined>;
}

/** Who ran a patch for others too gave it up: they run it themselves. */
class Abandoned extends Error {}

/** A patch that somebody runs, for everybody who asks for it meanwhile. */
type UnderWay = PromiseWithResolvers<PatchRun>;

interface Wanted extends PatchToRun {
  readonly indices: number[];
}

export function createPatchService({ reader, live, codeVersion }: PatchServiceParts): PatchService {
  const underWay = new Map<string, UnderWay>();

  /** Runs patches that nobody else runs; every one is settled in the end. */
  const runOwn = async (own: readonly Wanted[], turns: Turns, signal: AbortSignal | undefined): Promise<void> => {
    const unsettled = new Map(own.map(({ id }) => [id, underWay.get(id)]));
    const settle = (id: string, how: (found: UnderWay) => void): void => {
      // Once it is settled, another request may have put its own in its place.
      const found = unsettled.get(id);
      if (found === undefined) return;
      unsettled.delete(id);
      underWay.delete(id);
      how(found);
    };
    try {
      const stored = await Promise.all(own.map(({ id }) => reader.patchRun(id)));
      const missing = own.filter(({ id }, i) => {
        const run = stored[i];
        if (run !== null) settle(id, ({ resolve }) => resolve(run));
        return run === null;
      });
      for (const wanted of Map.groupBy(missing, ({ input }) => input.model).values()) {
        try {
          await runPatches({ reader, live, codeVersion }, wanted, turns, signal, (id, found) => settle(id, ({ resolve, reject }) => ('run' in found ? resolve(found.run) : reject(found.error))));
        } catch (error) {
          // A model that cannot run here says nothing about the others.
          if (!(error instanceof CallerError)) throw error;
          for (const { id } of wanted) settle(id, ({ reject }) => reject(error));
        }
      }
    } catch (error) {
      for (const { id } of own) settle(id, ({ reject }) => reject(signal?.aborted === true ? new Abandoned() : error));
    }
  };

  const runGroup = async (group: readonly Wanted[], turns: Turns, signal: AbortSignal | undefined): Promise<ReadonlyMap<string, PatchRun | CallerError>> => {
    const found = new Map<string, PatchRun | CallerError>();
    let left = group;
    let held = 0;
    while (left.length > 0) {
      signal?.throwIfAborted();
      const own = left.filter(({ id }) => !underWay.has(id));
      for (const { id } of own) {
        const fresh = Promise.withResolvers<PatchRun>();
        fresh.promise.catch(() => undefined);
        underWay.set(id, fresh);
      }
      const mine = new Set(own.map(({ id }) => id));
      const promised = left.map(({ id }) => underWay.get(id)?.promise);
      await runOwn(own, turns, signal);
      const ends = await Promise.allSettled(promised);
      left = left.filter(({ id }, i) => {
        const end = ends[i];
        if (end.status === 'fulfilled') {
          // What does not fit is read again when its turn to be answered comes.
          const run = end.value;
          held += run === undefined ? 0 : numbersOf(run);
          if (run !== undefined && held <= LIMITS.patchNumbers) found.set(id, run);
          return false;
        }
        if (end.reason instanceof Abandoned) return true;
        if (!(end.reason instanceof CallerError)) throw end.reason;
        // There was no room for another request; there may be for this one.
        if (end.reason.code === 'BUSY' && !mine.has(id)) return true;
        found.set(id, end.reason);
        return false;
      });
    }
    return found;
  };

  return {
    async *patchEach(requests, { turns, group, signal }) {
      const prepare = preparer(reader);
      const mine = continuing(turns);
      for (let from = 0; from < requests.length; from += group) {
        const wanted = new Map<string, Wanted>();
        for (const [i, request] of requests.slice(from, from + group).entries()) {
          const one = await prepare(request);
          if (one instanceof CallerError) yield { index: from + i, error: one };
          else if (wanted.has(one.id)) wanted.get(one.id)?.indices.push(from + i);
          else wanted.set(one.id, { ...one, indices: [from + i] });
        }
        const found = await runGroup([...wanted.values()], mine, signal);
        for (const { id, indices } of wanted.values()) {
          const end = found.get(id) ?? (await reader.patchRun(id));
          if (end === null) throw new OutsideError('postgres', `patch run ${id} was stored and is gone`);
          for (const index of indices) yield end instanceof CallerError ? { index, error: end } : { index, run: end };
        }
      }
    },
  };
}

/** Turns of one request: only the first may be refused. */
function continuing(turns: Turns): Turns {
  let admitted = false;
  return {
    run: (task, options) =>
      turns.run(
        () => {
          admitted = true;
          return task();
        },
        { ...options, resumes: admitted },
      ),
  };
}

/** Checks requests against the catalog, whose models and dictionaries are read once. A mistake is returned, not thrown. */
function preparer(reader: PatchServiceParts['reader']): (request: PatchRequest) => Promise<PatchToRun | CallerError> {
  const known = new Map<string, Promise<readonly [ModelRow, readonly DictionaryRow[]]>>();
  const rowsOf = async (name: string): Promise<readonly [ModelRow, readonly DictionaryRow[]]> => [await findModel(reader, name), await reader.dictionaries({ model: name })];
  return async (request) => {
    try {
      const rows = known.get(request.model) ?? rowsOf(request.model);
      known.set(request.model, rows);
      const [model, dictionaries] = await rows;
      const used = checkPatchInput(request, dictionaries);
      const input: PatchInput = await withMeans(reader, used, request);
      return { id: patchId(model, used, input), model, input };
    } catch (error) {
      if (error instanceof CallerError) return error;
      throw error;
    }
  };
}

async function findModel(reader: PatchServiceParts['reader'], name: string): Promise<ModelRow> {
  const models = await reader.models();
  const found = models.find((row) => row.name === name);
  if (found !== undefined) return found;
  const known = models.map((row) => row.name).join(', ');
  throw new CallerError('NOT_FOUND', `the catalog has no model ${JSON.stringify(name)}; ${known === '' ? 'it is empty' : `it has ${known}`}`, { field: ['model'] });
}
