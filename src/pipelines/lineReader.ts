import { CallerError } from '../domain/errors.ts';
import type { BatchLine } from '../ports/BatchFiles.ts';

/** One JSON object of a file, read column by column; what is wrong is said with the file, the line and the column. */
export class LineReader {
  readonly #place: string;
  readonly #columns: Readonly<Record<string, unknown>>;

  constructor(place: string, columns: Readonly<Record<string, unknown>>) {
    this.#place = place;
    this.#columns = columns;
  }

  static of({ place, text }: BatchLine): LineReader {
    let parsed: unknown;
    try {
      parsed = JSON.parse(text);
    } catch (cause) {
      throw new CallerError('BAD_INPUT', `${place}: expected one JSON object, found text that is none`, { cause });
    }
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw new CallerError('BAD_INPUT', `${place}: expected one JSON object, found ${JSON.stringify(parsed).slice(0, 60)}`);
    return new LineReader(place, parsed as Record<string, unknown>);
  }

  refuse(column: string, expected: string): never {
    throw new CallerError('BAD_INPUT', `${this.#place}: column "${column}": expected ${expected}, found ${(JSON.stringify(this.#columns[column]) ?? 'nothing').slice(0, 60)}`);
  }

  has(column: string): boolean {
    return this.#columns[column] !== undefined && this.#columns[column] !== null;
  }

  any(column: string): unknown {
    return this.#columns[column];
  }

  text(column: string): string {
    const value = this.#columns[column];
    return typeof value === 'string' ? value : this.refuse(column, 'text');
  }

  textOrNull(column: string): string | null {
    return this.has(column) ? this.text(column) : null;
  }

  real(column: string): number {
    const value = this.#columns[column];
    return typeof value === 'number' && Number.isFinite(value) ? value : this.refuse(column, 'a number');
  }

  realOrNull(column: string): number | null {
    return this.has(column) ? this.real(column) : null;
  }

  /** Also written as text, as the field does. */
  natural(column: string): number {
    const value = this.#columns[column];
    const number = typeof value === 'string' && /^\d{1,10}$/.test(value) ? Number(value) : value;
    return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : this.refuse(column, 'a whole number from 0');
  }

  list<T>(column: string, what: string, is: (value: unknown) => value is T): readonly T[] {
    const value = this.#columns[column];
    return Array.isArray(value) && value.every(is) ? (value as T[]) : this.refuse(column, `a list of ${what}`);
  }

  reals(column: string): readonly number[] {
    return this.list(column, 'numbers', (value): value is number => typeof value === 'number' && Number.isFinite(value));
  }

  naturals(column: string): readonly number[] {
    return this.list(column, 'whole numbers from 0', (value): value is number => Number.isSafeInteger(value) && (value as number) >= 0);
  }

  texts(column: string): readonly string[] {
    return this.list(column, 'texts', (value): value is string => typeof value === 'string');
  }

  /** An object within; null where there is none. */
  inner(column: string): LineReader | null {
    const value = this.#columns[column];
    if (value === undefined || value === null) return null;
    if (typeof value !== 'object' || Array.isArray(value)) return this.refuse(column, 'an object');
    return new LineReader(`${this.#place}: ${column}`, value as Record<string, unknown>);
  }

  /** The same object of a type that the program wrote itself. */
  as<T>(): T {
    return this.#columns as T;
  }

  fail(message: string): never {
    throw new CallerError('BAD_INPUT', `${this.#place}: ${message}`);
  }
}
