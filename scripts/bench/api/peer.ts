import { execFileSync } from 'node:child_process';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from './child.ts';

/** PostGraphile, installed by npm into the folder, on this database: api/postgraphile/. */
export async function startPeer(folder: string, databaseUrl: string): Promise<Child> {
  cpSync(fileURLToPath(new URL('postgraphile', import.meta.url)), folder, { recursive: true });
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  return await Child.start(join(folder, 'server.mjs'), [], { PEER_DATABASE: databaseUrl, NODE_ENV: 'production', GRAPHILE_ENV: 'production' });
}
