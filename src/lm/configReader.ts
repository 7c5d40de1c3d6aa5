import { CallerError } from '../domain/errors.ts';

/** Fields of a parsed config.json, read with their types checked. Every failure is a BAD_MODEL_FILE naming the field. */
export class ConfigReader {
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #where: string;

  /** `where` names the object in messages, e.g. `config.json`. Throws BAD_MODEL_FILE unless `value` is an object. */
  constructor(value: unknown, where = 'config.json') {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new CallerError('BAD_MODEL_FILE', `${where}: expected a JSON object`);
    }
    this.#fields = value as Readonly<Record<string, unknown>>;
    this.#where = where;
  }

  has(name: string): boolean {
    return this.#fields[name] !== undefined && this.#fields[name] !== null;
  }

  #fail(name: string, expected: string): never {
    const found = this.has(name) ? JSON.stringify(this.#fields[name]) : 'nothing';
    throw new CallerError('BAD_MODEL_FILE', `${this.#where}: ${name}: expected ${expected}, found ${found}`);
  }

  /** A whole number >= 1. Without `fallback` the field is required. */
  count(name: string, fallback?: number): number {
    const value = this.has(name) ? this.#fields[name] : fallback;
    return typeof value === 'number' && Number.isInteger(value) && value >= 1
      ? value
      : this.#fail(name, 'a whole number of at least 1');
  }

  /** A finite number. Without `fallback` the field is required. */
  number(name: string, fallback?: number): number {
    const value = this.has(name) ? this.#fields[name] : fallback;
    return typeof value === 'number' && Number.isFinite(value) ? value : this.#fail(name, 'a number');
  }

  boolean(name: string, fallback: boolean): boolean {
    const value = this.has(name) ? this.#fields[name] : fallback;
    return typeof value === 'boolean' ? value : this.#fail(name, 'true or false');
  }

  text(name: string, fallback?: string): string {
    const value = this.has(name) ? this.#fields[name] : fallback;
    return typeof value === 'string' ? value : this.#fail(name, 'text');
  }

  /** A nested object, or undefined when absent or null. */
  object(name: string): ConfigReader | undefined {
    return this.has(name) ? new ConfigReader(this.#fields[name], `${this.#where}: ${name}`) : undefined;
  }
}
