import type { Command } from 'commander';
import { readConfig, type Config } from '../../src/config.ts';
import { startServer } from '../../src/main.ts';
import { count } from '../options.ts';

export function serveCommand(program: Command): void {
  program
    .command('serve')
    .description('Serve the catalog over GraphQL until interrupted')
    .option('--host <address>', 'address to listen on (default: HOST, else 127.0.0.1)')
    .option('--port <number>', 'port (default: PORT, else 4000; 0 = any free one)', count(0))
    .action(async (options: { host?: string; port?: number }) => {
      const config = readConfig();
      await serve({ ...config, host: options.host ?? config.host, port: options.port ?? config.port });
    });
}

/** Serves until SIGINT or SIGTERM, then finishes the requests under way. A second signal ends at once. */
export async function serve(config: Config, hint?: (url: string) => string): Promise<void> {
  const server = await startServer(config);
  console.log(`serving ${server.url}\n  a page with examples: ${new URL('/', server.url).href}${hint === undefined ? '' : `\n${hint(server.url)}`}`);
  await new Promise<void>((resolve, reject) => {
    const stop = (): void => {
      process.once('SIGINT', () => process.exit(130));
      process.once('SIGTERM', () => process.exit(143));
      server.close().then(resolve, reject);
    };
    process.once('SIGINT', stop);
    process.once('SIGTERM', stop);
  });
}
