import { createHash } from 'node:crypto';
import { formatAddress } from '../domain/address.ts';
import { CallerError, invariant } from '../domain/errors.ts';
import type { FeatureSteer, SteerInput, SteerOperation } from '../domain/steer.ts';
import type { DictionaryRow, ModelRow } from '../ports/CatalogReader.ts';
import { checkCount, checkText, LIMITS } from './limits.ts';

/** Changes whenever the meaning of a steering does. */
const SEMANTICS = 'steer-1';
/** Beyond this a float32 edit may overflow on its way through the network. */
const MAX_MAGNITUDE = 1e6;
const MAX_SEED = 2 ** 31 - 1;

/**
 * Checks what can be known without running the model and returns the dictionary of each feature, in order. Throws CallerError with the
 * path of the field: BAD_INPUT, LIMIT_EXCEEDED, NOT_FOUND, TEXT_TOO_LONG.
 */
export function checkSteerInput(input: SteerInput, rows: readonly DictionaryRow[]): DictionaryRow[] {
  checkText('prompt', input.prompt, LIMITS.textCharacters);
  checkCount('maxTokens', input.maxTokens, 1, LIMITS.steerTokens);
  checkCount('seed', input.seed, 0, MAX_SEED);
  const { temperature, topP, features } = input;
  if (!(temperature >= 0 && temperature <= LIMITS.temperature)) throw bad(['temperature'], `temperature is ${temperature}: expected 0 to ${LIMITS.temperature}`);
  if (!(topP > 0 && topP <= 1)) throw bad(['topP'], `topP is ${topP}: expected more than 0 and at most 1`);
  if (features.length === 0) throw bad(['features'], 'features is empty: name at least one feature to steer with');
  if (features.length > LIMITS.steerFeatures) {
    throw new CallerError('LIMIT_EXCEEDED', `features has ${features.length} entries: at most ${LIMITS.steerFeatures} steer at once`, { field: ['features'] });
  }
  const seen = new Set<string>();
  return features.map((steer, i) => {
    const at = ['features', String(i), 'feature'];
    const row = dictionaryOf(input.model, steer, at, rows);
    const address = formatAddress(steer.feature);
    if (seen.has(address)) throw bad(at, `feature ${address} is named twice: give each feature one operation`);
    seen.add(address);
    const value = numberOf(steer.operation);
    if (value !== null && !(Math.abs(value) <= MAX_MAGNITUDE)) {
      throw bad(['features', String(i), 'value'], `value is ${value}: expected a finite number of magnitude at most ${MAX_MAGNITUDE}`);
    }
    return row;
  });
}

function dictionaryOf(model: string, { feature }: FeatureSteer, at: readonly string[], rows: readonly DictionaryRow[]): DictionaryRow {
  const address = formatAddress(feature);
  if (feature.model !== model) throw bad(at, `feature ${address} belongs to model ${feature.model}, the text is written by ${model}`);
  const row = rows.find(({ name }) => name === feature.dictionary);
  if (row === undefined) {
    const known = rows.map(({ name }) => name);
    const listed = known.length === 0 ? 'it has none' : `it has ${known.slice(0, 12).join(', ')}${known.length > 12 ? ', …' : ''}`;
    throw new CallerError('NOT_FOUND', `model ${model} has no dictionary ${feature.dictionary}; ${listed}`, { field: at });
  }
  if (!Number.isInteger(feature.index) || feature.index < 0 || feature.index >= row.nFeatures) {
    throw new CallerError('NOT_FOUND', `feature ${address} does not exist: dictionary ${row.name} has features 0 to ${row.nFeatures - 1}`, { field: at });
  }
  return row;
}

/** The number an operation carries; null where it has none. */
export function numberOf(operation: SteerOperation): number | null {
  switch (operation.kind) {
    case 'add':
    case 'set':
      return operation.value;
    case 'scale':
      return operation.factor;
    case 'ablate':
      return null;
  }
}

/** sha-256 over what determines a result; `unsteered` over what determines the text beside it. */
export function steerIds(model: ModelRow, rows: readonly DictionaryRow[], input: SteerInput): { readonly id: string; readonly unsteered: string } {
  invariant(rows.length === input.features.length, 'a dictionary for each feature');
  const { prompt, maxTokens, temperature, topP, seed, chat, steerPrompt } = input;
  const text = [SEMANTICS, model.weightsHash, model.tokenizerHash, prompt, chat, maxTokens, temperature, topP, seed];
  const features = input.features.map(({ feature, operation }, i) => [formatAddress(feature), rows[i].weightsHash, operation.kind, numberOf(operation)]);
  return { id: hashOf([text, features, steerPrompt]), unsteered: hashOf(text) };
}

function hashOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}

function bad(field: readonly string[], message: string): CallerError {
  return new CallerError('BAD_INPUT', message, { field });
}
