import { formatAddress, type FeatureAddress } from '../domain/address.ts';
import { CallerError } from '../domain/errors.ts';
import type { PatchRequest } from '../domain/patch.ts';
import type { DictionaryRow } from '../ports/CatalogReader.ts';
import { resolvePosition } from '../causal/positions.ts';
import { checkText, LIMITS } from './limits.ts';

/** Most features edited by one patch. */
export const MAX_PATCHED_FEATURES = 256;
/** Most token changes reported per position. */
export const MAX_TOP_TOKENS = 50;
/** Most positions read by one patch; each costs a row of logits. */
export const MAX_READ_POSITIONS = 64;

/**
 * Checks what can be known without running the model and returns the dictionaries patched or watched, by name. Throws CallerError
 * with the path of the field: BAD_INPUT, LIMIT_EXCEEDED, NOT_FOUND, TEXT_TOO_LONG.
 */
export function checkPatchInput(input: PatchRequest, rows: readonly DictionaryRow[]): Map<string, DictionaryRow> {
  for (const field of ['base', 'target'] as const) {
    const text = input[field];
    if (text === '') throw bad([field], `${field} is empty: expected some text`);
    if (text !== null) checkText(field, text, LIMITS.textCharacters);
  }
  const count = input.features.length;
  if (count === 0) throw bad(['features'], 'features is empty: name at least one feature to patch');
  if (count > MAX_PATCHED_FEATURES) {
    throw new CallerError('LIMIT_EXCEEDED', `features has ${count} entries: at most ${MAX_PATCHED_FEATURES} are patched at once`, { field: ['features'] });
  }
  if (!Number.isInteger(input.topTokens) || input.topTokens < 1 || input.topTokens > MAX_TOP_TOKENS) {
    throw new CallerError('LIMIT_EXCEEDED', `topTokens is ${input.topTokens}: expected a whole number from 1 to ${MAX_TOP_TOKENS}`, { field: ['topTokens'] });
  }
  checkNumberOf('watch', input.watch, LIMITS.watchedFeatures);
  checkNumberOf('tokens', input.tokens, LIMITS.namedTokens);
  checkNumberOf('logitDifference', input.logitDifference, LIMITS.tokenPairs);
  if (input.readPositions !== null) {
    if (input.allPositions === true) throw bad(['readPositions'], 'readPositions and allPositions are both given: leave out one of them');
    if (input.readPositions.length === 0) throw bad(['readPositions'], 'readPositions is empty: leave it out to read the last position');
    if (input.readPositions.length > MAX_READ_POSITIONS) {
      throw new CallerError('LIMIT_EXCEEDED', `readPositions has ${input.readPositions.length} entries: at most ${MAX_READ_POSITIONS}`, { field: ['readPositions'] });
    }
  }
  const byName = new Map(rows.map((row) => [row.name, row]));
  const used = new Map<string, DictionaryRow>();
  input.features.forEach((patch, i) => {
    const row = checkAddress(input.model, patch.feature, ['features', String(i), 'feature'], byName);
    checkOperation(input, patch, String(i));
    used.set(row.name, row);
  });
  input.watch?.forEach((feature, i) => {
    const row = checkAddress(input.model, feature, ['watch', String(i)], byName);
    used.set(row.name, row);
  });
  return used;
}

function checkNumberOf(field: string, list: readonly unknown[] | undefined, most: number): void {
  if (list !== undefined && list.length > most) {
    throw new CallerError('LIMIT_EXCEEDED', `${field} has ${list.length} entries: at most ${most}`, { field: [field] });
  }
}

function checkAddress(model: string, feature: FeatureAddress, at: readonly string[], byName: ReadonlyMap<string, DictionaryRow>): DictionaryRow {
  if (feature.model !== model) throw bad(at, `feature ${formatAddress(feature)} belongs to model ${feature.model}, the patch runs ${model}`);
  const row = byName.get(feature.dictionary);
  if (row === undefined) {
    const known = [...byName.keys()];
    const listed = known.length === 0 ? 'it has none' : `it has ${known.slice(0, 12).join(', ')}${known.length > 12 ? ', …' : ''}`;
    throw new CallerError('NOT_FOUND', `model ${model} has no dictionary ${feature.dictionary}; ${listed}`, { field: at });
  }
  if (!Number.isInteger(feature.index) || feature.index < 0 || feature.index >= row.nFeatures) {
    throw new CallerError('NOT_FOUND', `feature ${formatAddress(feature)} does not exist: dictionary ${row.name} has features 0 to ${row.nFeatures - 1}`, { field: at });
  }
  return row;
}

function checkOperation(input: PatchRequest, { feature, operation, positions }: PatchRequest['features'][number], i: string): void {
  switch (operation.kind) {
    case 'replace_from_target':
      if (input.target === null) throw bad(['target'], `feature ${formatAddress(feature)} is to be replaced from the target prompt, but there is no target`);
      break;
    case 'ablate':
    case 'ablate_to_mean':
      break;
    case 'scale':
      checkFinite(operation.factor, 'factor', i);
      break;
    case 'set':
    case 'add':
      checkFinite(operation.value, 'value', i);
      break;
    default: {
      const kind = String((operation as { kind: unknown }).kind);
      throw bad(['features', i, 'operation'], `unknown operation ${kind}: expected replace_from_target, ablate, ablate_to_mean, scale, set or add`);
    }
  }
  if (positions !== null && positions.length === 0) throw bad(['features', i, 'positions'], 'positions is empty: leave it out to patch every position');
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
