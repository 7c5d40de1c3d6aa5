import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { MigrationList } from '@prisma/schema-engine-wasm';
import { OutsideError, messageOf } from '../../domain/errors.ts';

const FOLDER = fileURLToPath(new URL('../../../prisma/', import.meta.url));

/** Text of prisma/schema.prisma. */
export async function readDatamodel(): Promise<string> {
  return readFile(join(FOLDER, 'schema.prisma'), 'utf8');
}

/** prisma/migrations as the schema engine wants it, oldest first. `folder` is for tests. */
export async function readMigrations(folder = join(FOLDER, 'migrations')): Promise<MigrationList> {
  try {
    const names = (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isDirectory()).map((entry) => entry.name);
    names.sort();
    const migrationDirectories = await Promise.all(
      names.map(async (path) => ({
        path,
        migrationFile: {
          path: 'migration.sql',
          content: { tag: 'ok' as const, value: await readFile(join(folder, path, 'migration.sql'), 'utf8') },
        },
      })),
    );
    const lockfile = { path: 'migration_lock.toml', content: await readFile(join(folder, 'migration_lock.toml'), 'utf8') };
    return { baseDir: folder, lockfile, shadowDbInitScript: '', migrationDirectories };
  } catch (error) {
    throw new OutsideError('disk', `cannot read the migrations in ${folder}: ${messageOf(error)}`, { cause: error });
  }
}
