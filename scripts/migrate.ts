// npm run migrate: brings the catalog's database to the newest schema, offline. DATABASE_URL, or the embedded server of CATALOG_HOME.
import { startEmbedded } from '../src/adapters/prisma/embedded.ts';
import { migrate } from '../src/adapters/prisma/migrate.ts';
import { CallerError, OutsideError } from '../src/domain/errors.ts';

async function main(): Promise<void> {
  const url = process.env['DATABASE_URL'];
  const server = url === undefined || url === '' ? await startEmbedded(process.env['CATALOG_HOME'] ?? '.catalog') : { url, stop: async () => undefined };
  try {
    const applied = await migrate(server.url);
    for (const name of applied) console.log(`applied ${name}`);
    if (applied.length === 0) console.log('database: up to date');
  } finally {
    await server.stop();
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof CallerError || error instanceof OutsideError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
