import { formatAddress } from '../domain/address.ts';
import { CallerError } from '../domain/errors.ts';
import type { FeaturePatch, PatchInput } from '../domain/patch.ts';
import type { DictionaryRow } from '../ports/CatalogReader.ts';
import { resolvePosition } from '../causal/positions.ts';

/** Most features edited by one patch. */
export const MAX_PATCHED_FEATURES = 256;
/** Most token changes reported per position. */
export const MAX_TOP_TOKENS = 50;
/** Most positions read by one patch; each costs a row of logits. */
export const MAX_READ_POSITIONS = 64;

/**
 * Checks what can be known without running the model and returns the dictionaries patched, by name. Throws CallerError
 * with the path of the field: BAD_INPUT, LIMIT_EXCEEDED, NOT_FOUND.
 */
export function checkPatchInput(input: PatchInput, rows: readonly DictionaryRow[]): Map<string, DictionaryRow> {
  for (const field of ['base', 'target'] as const) {
    if (input[field] === '') throw bad([field], `${field} is empty: expected some text`);
  }
  const count = input.features.length;
  if (count === 0) throw bad(['features'], 'features is empty: name at least one feature to patch');
  if (count > MAX_PATCHED_FEATURES) {
    throw new CallerError('LIMIT_EXCEEDED', `features has ${count} entries: at most ${MAX_PATCHED_FEATURES} are patched at once`, { field: ['features'] });
  }
  if (!Number.isInteger(input.topTokens) || input.topTokens < 1 || input.topTokens > MAX_TOP_TOKENS) {
    throw new CallerError('LIMIT_EXCEEDED', `topTokens is ${input.topTokens}: expected a whole number from 1 to ${MAX_TOP_TOKENS}`, { field: ['topTokens'] });
  }
  if (input.readPositions !== null) {
    if (input.readPositions.length === 0) throw bad(['readPositions'], 'readPositions is empty: leave it out to read the last position');
    if (input.readPositions.length > MAX_READ_POSITIONS) {
      throw new CallerError('LIMIT_EXCEEDED', `readPositions has ${input.readPositions.length} entries: at most ${MAX_READ_POSITIONS}`, { field: ['readPositions'] });
    }
  }
  const byName = new Map(rows.map((row) => [row.name, row]));
  const used = new Map<string, DictionaryRow>();
  input.features.forEach((patch, i) => {
    const row = checkFeature(input, patch, String(i), byName);
    used.set(row.name, row);
  });
  return used;
}

function checkFeature(input: PatchInput, patch: FeaturePatch, i: string, byName: ReadonlyMap<string, DictionaryRow>): DictionaryRow {
  const { feature, operation, positions } = patch;
  const at = ['features', i, 'feature'];
  if (feature.model !== input.model) throw bad(at, `feature ${formatAddress(feature)} belongs to model ${feature.model}, the patch runs ${input.model}`);
  const row = byName.get(feature.dictionary);
  if (row === undefined) {
    const known = [...byName.keys()];
    const listed = known.length === 0 ? 'it has none' : `it has ${known.slice(0, 12).join(', ')}${known.length > 12 ? ', …' : ''}`;
    throw new CallerError('NOT_FOUND', `model ${input.model} has no dictionary ${feature.dictionary}; ${listed}`, { field: at });
  }
  if (!Number.isInteger(feature.index) || feature.index < 0 || feature.index >= row.nFeatures) {
    throw new CallerError('NOT_FOUND', `feature ${formatAddress(feature)} does not exist: dictionary ${row.name} has features 0 to ${row.nFeatures - 1}`, { field: at });
  }
  switch (operation.kind) {
    case 'replace_from_target':
      if (input.target === null) throw bad(['target'], `feature ${formatAddress(feature)} is to be replaced from the target prompt, but there is no target`);
      break;
    case 'ablate':
      break;
    case 'scale':
      checkFinite(operation.factor, 'factor', i);
      break;
    case 'set':
      checkFinite(operation.value, 'value', i);
      break;
    default: {
      const kind = String((operation as { kind: unknown }).kind);
      throw bad(['features', i, 'operation'], `unknown operation ${kind}: expected replace_from_target, ablate, scale or set`);
    }
  }
  if (positions !== null && positions.length === 0) throw bad(['features', i, 'positions'], 'positions is empty: leave it out to patch every position');
  return row;
}

/** Beyond this a float32 edit may overflow on its way through the network. */
const MAX_MAGNITUDE = 1e6;

function checkFinite(value: number, name: string, i: string): void {
  if (!Number.isFinite(value) || Math.abs(value) > MAX_MAGNITUDE) {
    throw bad(['features', i, 'operation', name], `${name} is ${value}: expected a finite number of magnitude at most ${MAX_MAGNITUDE}`);
  }
}

/** Positions counted from 0, ascending, without repeats; null = `whenNull`. Throws BAD_INPUT for one outside the prompt. */
export function resolvePositions(positions: readonly number[] | null, length: number, whenNull: readonly number[], field: readonly string[]): number[] {
  const resolved = (positions ?? whenNull).map((position, i) => {
    const found = resolvePosition(position, length);
    if (found === undefined) {
      throw bad([...field, String(i)], `position ${position} is outside the prompt: its ${length} tokens are 0 to ${length - 1}, or -${length} to -1 from the end`);
    }
    return found;
  });
  return [...new Set(resolved)].sort((a, b) => a - b);
}

/** Throws BAD_INPUT when two prompts that are compared position by position differ in length; says where they part. */
export function checkSameLength(base: ArrayLike<number>, target: ArrayLike<number>, text: (id: number) => string): void {
  if (base.length === target.length) return;
  let at = 0;
  while (at < Math.min(base.length, target.length) && base[at] === target[at]) at++;
  const shown = (ids: ArrayLike<number>): string => (at < ids.length ? JSON.stringify(text(ids[at])) : 'nothing');
  throw bad(
    ['target'],
    `base has ${base.length} tokens and target ${target.length}, counting the one that starts the document; they must be equal. ` +
      `They first differ at position ${at}: ${shown(base)} in base, ${shown(target)} in target. Choose words of as many tokens.`,
  );
}

function bad(field: readonly string[], message: string): CallerError {
  return new CallerError('BAD_INPUT', message, { field });
}
