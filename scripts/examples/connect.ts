import { CatalogError, createClient, type CatalogClient } from '../../clients/typescript/src/index.ts';

/** A client of the catalog at CATALOG_URL, with the key in CATALOG_KEY where the server asks for one. */
export function connect(): CatalogClient {
  const { CATALOG_URL = 'http://127.0.0.1:4000/graphql', CATALOG_KEY = '' } = process.env;
  return createClient({ url: CATALOG_URL, ...(CATALOG_KEY === '' ? {} : { key: CATALOG_KEY }) });
}

/** Runs the script; says what the catalog says where it fails, and exits with 1. */
export async function run(script: (client: CatalogClient) => Promise<void>): Promise<void> {
  try {
    await script(connect());
  } catch (error) {
    console.error(error instanceof CatalogError ? `${error.code}: ${error.message}` : error);
    process.exitCode = 1;
  }
}
