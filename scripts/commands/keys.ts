import { InvalidArgumentError, type Command } from 'commander';
import { openCatalog, type Catalog } from '../../src/adapters/prisma/catalog.ts';
import { createKey } from '../../src/catalog/access.ts';
import { readConfig } from '../../src/config.ts';
import { CallerError } from '../../src/domain/errors.ts';
import { SCOPES } from '../../src/domain/viewer.ts';
import { count } from '../options.ts';
import { table } from '../table.ts';

/** Keys of the API, and models that only some of them may read. What a server knows of both is at most 5 s old. */
export function keysCommand(program: Command): void {
  const keys = program.command('keys').description('Who may ask the API for what: keys with scopes and quotas, and restricted models');
  keys
    .command('create <name>')
    .description('Make a key; it is shown once and kept nowhere')
    .option('--scopes <list>', `what it may do: ${SCOPES.join(', ')}, by commas`, words, ['read'])
    .option('--models <list>', 'restricted models it may read, by commas; "*" = all', words, [])
    .option('--quota <units>', 'cost units a UTC day (default: no limit)', count())
    .action((name: string, options: { scopes: string[]; models: string[]; quota?: number }) =>
      withKeys(async (catalog) => {
        const known = options.models.filter((model) => model !== '*');
        const names = new Set((await catalog.reader.models()).map((model) => model.name));
        const unknown = known.find((model) => !names.has(model));
        if (unknown !== undefined) throw new CallerError('NOT_FOUND', `the catalog has no model ${JSON.stringify(unknown)}: load it first, or leave it out`);
        const { id, token } = await createKey(catalog.keys, { name, scopes: options.scopes, models: options.models, quota: options.quota ?? null });
        console.log(token);
        console.error(`key ${id} (${name}) made: this is the only time it is shown. Send it as "Authorization: Bearer ${token.slice(0, 16)}…"`);
      }),
    );
  keys
    .command('list')
    .description('Show all keys, revoked ones too, and what they spent today')
    .action(() =>
      withKeys(async (catalog) => {
        const rows = await catalog.keys.list();
        const restricted = await catalog.keys.restricted();
        console.log(
          table(
            ['id', 'name', 'scopes', 'models', 'quota', 'today', 'last used', 'revoked'],
            rows.map((key) => [key.id, key.name, key.scopes.join(','), key.models.join(',') || '-', key.quota === null ? '-' : String(key.quota), String(key.usedToday), key.lastUsed ?? 'never', key.revokedAt?.slice(0, 10) ?? '-']),
          ),
        );
        console.log(`restricted models: ${restricted.join(', ') || 'none'}`);
      }),
    );
  keys
    .command('revoke <id>')
    .description('End a key: the next request that comes with it is refused')
    .action((id: string) =>
      withKeys(async (catalog) => {
        if (!(await catalog.keys.revoke(id))) throw new CallerError('NOT_FOUND', `there is no key ${JSON.stringify(id)}: "keys list" shows their ids`);
        console.log(`key ${id} revoked`);
      }),
    );
  for (const [verb, restricted, text] of [['restrict', true, 'Hide a model, with all that is known of it, from keys it is not granted to'], ['open', false, 'Show a restricted model to everybody again']] as const) {
    keys
      .command(`${verb} <model>`)
      .description(text)
      .action((model: string) =>
        withKeys(async (catalog) => {
          if (!(await catalog.keys.restrict(model, restricted))) throw new CallerError('NOT_FOUND', `the catalog has no model ${JSON.stringify(model)}`);
          console.log(`${model} is ${restricted ? 'restricted' : 'open'}`);
        }),
      );
  }
}

function words(text: string): string[] {
  const found = text.split(',').map((word) => word.trim()).filter((word) => word !== '');
  if (found.length === 0) throw new InvalidArgumentError('expected names, by commas.');
  return found;
}

async function withKeys(work: (catalog: Catalog) => Promise<void>): Promise<void> {
  const { home, databaseUrl } = readConfig();
  const catalog = await openCatalog({ home, ...(databaseUrl === undefined ? {} : { databaseUrl }) });
  try {
    await work(catalog);
  } finally {
    await catalog.close();
  }
}
