import { CallerError } from '../../domain/errors.ts';

/** Checked access to JSON that others wrote. Every failure is BAD_INPUT and says where it is, what was expected and what is there. */
export class Reader {
  readonly value: unknown;
  /** e.g. `neurons.jsonl line 3, scored_explanations[0].explanation`. */
  readonly place: string;

  constructor(value: unknown, place: string) {
    this.value = value;
    this.place = place;
  }

  fail(expected: string): never {
    const found = this.value === undefined ? 'nothing' : Array.isArray(this.value) ? `a list of ${this.value.length}` : JSON.stringify(this.value).slice(0, 60);
    throw new CallerError('BAD_INPUT', `${this.place}: expected ${expected}, found ${found}`);
  }

  get isObject(): boolean {
    return typeof this.value === 'object' && this.value !== null && !Array.isArray(this.value);
  }

  /** True when the object has the field and it is not null. */
  has(field: string): boolean {
    return this.isObject && Object.hasOwn(this.value as object, field) && (this.value as Record<string, unknown>)[field] !== null;
  }

  field(field: string): Reader {
    if (!this.isObject) this.fail('an object');
    return new Reader((this.value as Record<string, unknown>)[field], this.place.endsWith(' ') ? `${this.place}${field}` : `${this.place}.${field}`);
  }

  list(): readonly Reader[] {
    if (!Array.isArray(this.value)) this.fail('a list');
    return this.value.map((item: unknown, i) => new Reader(item, `${this.place}[${i}]`));
  }

  text(): string {
    return typeof this.value === 'string' ? this.value : this.fail('text');
  }

  number(): number {
    return typeof this.value === 'number' && Number.isFinite(this.value) ? this.value : this.fail('a number');
  }

  /** A number, or null where there is none (a score that was undefined is written as null or NaN). */
  numberOrNull(): number | null {
    return this.value === null || this.value === undefined ? null : this.number();
  }

  numbers(): readonly number[] {
    return this.list().map((item) => item.number());
  }

  texts(): readonly string[] {
    return this.list().map((item) => item.text());
  }
}
