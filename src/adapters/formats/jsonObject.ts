import { stat } from 'node:fs/promises';
import { badForeign } from './foreign.ts';
import { readForeignJson } from './foreignFiles.ts';

/** Fields of somebody's configuration file, each read with a check of its type; `where` is what errors call the file. */
export class JsonObject {
  readonly where: string;
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(where: string, fields: Readonly<Record<string, unknown>>) {
    this.where = where;
    this.fields = fields;
  }

  has(key: string): boolean {
    return this.fields[key] !== undefined && this.fields[key] !== null;
  }

  integer(key: string, least: number, fallback?: number): number {
    const value = this.fields[key] ?? fallback;
    if (!Number.isSafeInteger(value) || (value as number) < least) throw this.wrong(key, `a whole number of at least ${least}`);
    return value as number;
  }

  boolean(key: string, fallback?: boolean): boolean {
    const value = this.fields[key] ?? fallback;
    if (typeof value !== 'boolean') throw this.wrong(key, 'true or false');
    return value;
  }

  text(key: string, fallback?: string): string {
    const value = this.fields[key] ?? fallback;
    if (typeof value !== 'string') throw this.wrong(key, 'a text');
    return value;
  }

  textOrNull(key: string): string | null {
    return this.has(key) ? this.text(key) : null;
  }

  /** The object at a key; empty when there is none. */
  object(key: string): JsonObject {
    const value = this.fields[key] ?? {};
    if (typeof value !== 'object' || Array.isArray(value)) throw this.wrong(key, 'an object');
    return new JsonObject(`${this.where} ${key}`, value as Record<string, unknown>);
  }

  wrong(key: string, expected: string): Error {
    return badForeign(this.where, `${key} must be ${expected}, found ${JSON.stringify(this.fields[key]) ?? 'nothing'}`);
  }

  /** Throws BAD_DICTIONARY naming the keys that are not in `understood`, or null. */
  refuseUnknown(understood: ReadonlySet<string>): void {
    const unknown = Object.keys(this.fields).filter((key) => !understood.has(key) && this.has(key));
    if (unknown.length > 0) {
      throw badForeign(this.where, `unknown keys ${unknown.join(', ')}: they may change what the numbers mean. Where they do not, take them out of the file and import again`);
    }
  }
}

/** A config file's fields; null when there is no such file. Throws BAD_DICTIONARY when it is no JSON object. */
export async function readJsonObject(path: string): Promise<JsonObject | null> {
  const present = await stat(path).then((found) => found.isFile(), () => false);
  return present ? new JsonObject(path, await readForeignJson(path)) : null;
}
