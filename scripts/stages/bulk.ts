import { openBulk } from '../../src/adapters/prisma/bulk.ts';
import { openCatalog, type Catalog } from '../../src/adapters/prisma/catalog.ts';
import type { CatalogBulk } from '../../src/ports/CatalogBulk.ts';
import type { Workspace } from '../workspace.ts';

/** The catalog, and the same by the dictionary, for the length of `use`. */
export async function withBulk<T>({ config, progress }: Workspace, use: (catalog: Catalog, bulk: CatalogBulk) => Promise<T>): Promise<T> {
  const catalog = await openCatalog({ home: config.home, ...(config.databaseUrl === undefined ? {} : { databaseUrl: config.databaseUrl }) });
  const bulk = openBulk(catalog.url);
  try {
    for (const name of catalog.migrated) progress.say(`applied migration ${name}`);
    return await use(catalog, bulk);
  } finally {
    await bulk.close();
    await catalog.close();
  }
}
