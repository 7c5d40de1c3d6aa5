import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What scripts/oracle/baselines.py wrote. */
export function readFixture<T>(name: string): T {
  return JSON.parse(readFileSync(join(import.meta.dirname, '..', 'fixtures', 'baselines', `${name}.json`), 'utf8')) as T;
}
