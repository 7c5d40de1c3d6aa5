import { CallerError } from './errors.ts';

/** `{model}/{dictionary}/{index}`, as the field writes it, e.g. `pythia-70m/2-tied-r2/1024`. */
export interface FeatureAddress {
  readonly model: string;
  readonly dictionary: string;
  readonly index: number;
}

const NAME = /^[a-z0-9][a-z0-9._-]{0,127}$/;

/** Model and dictionary names: lower case letters, digits, dot, dash, underscore; at most 128 characters. */
export function checkName(what: 'model' | 'dictionary', name: string): string {
  if (!NAME.test(name)) {
    throw new CallerError(
      'BAD_INPUT',
      `"${name}" is no ${what} name: expected lower-case letters, digits, ".", "-", "_" (at most 128), e.g. ${what === 'model' ? 'pythia-70m' : '2-tied-r2'}`,
    );
  }
  return name;
}

export function formatAddress(address: FeatureAddress): string {
  return `${address.model}/${address.dictionary}/${address.index}`;
}

export function parseAddress(text: string): FeatureAddress {
  const parts = text.split('/');
  const index = Number(parts[2]);
  if (parts.length !== 3 || !/^\d{1,9}$/.test(parts[2] ?? '') || !Number.isSafeInteger(index)) {
    throw new CallerError(
      'BAD_INPUT',
      `"${text}" is no feature address: expected {model}/{dictionary}/{index}, e.g. pythia-70m/2-tied-r2/1024`,
    );
  }
  return { model: checkName('model', parts[0]!), dictionary: checkName('dictionary', parts[1]!), index };
}

/** `2-tied-r4` for layer 2: the source-id convention `{layer}-{set}`. */
export function dictionaryName(layer: number, set: string): string {
  return checkName('dictionary', `${layer}-${set}`);
}
