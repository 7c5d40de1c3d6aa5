import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAccess } from '../../src/catalog/access.ts';
import { startCli } from '../helpers/cli.ts';
import { seedCatalog } from '../helpers/seedCatalog.ts';
import { withCatalog } from '../helpers/withCatalog.ts';

test('keys: made and shown once, listed without the secret, counted over a restart, restricted, revoked; other addresses need one', async () => {
  await withCatalog(async (catalog) => {
    await seedCatalog(catalog.writer, { features: 2, layers: 1 });
    const run = async (args: readonly string[], expected = 0): Promise<string> => {
      const cli = startCli('', args, { DATABASE_URL: catalog.url });
      assert.equal(await cli.ended, expected, cli.output());
      return cli.output();
    };
    assert.match(await run(['serve', '--host', '0.0.0.0', '--port', '0'], 2), /keys create NAME --scopes read,patch.*BAD_CONFIG/s);
    const made = await run(['keys', 'create', 'front-end', '--scopes', 'read,patch', '--models', 'toy', '--quota', '100']);
    const token = /fc_[0-9a-f]{12}_[A-Za-z0-9_-]{43}/.exec(made)?.[0];
    assert.ok(token !== undefined, made);
    assert.match(await run(['keys', 'create', 'front-end'], 2), /never used twice/);
    assert.match(await run(['keys', 'create', 'x', '--scopes', 'fly'], 2), /expected scopes among/);
    assert.match(await run(['keys', 'restrict', 'toy']), /toy is restricted/);
    // Two servers, one after the other.
    for (const spend of [70, 30]) {
      const access = createAccess(catalog.keys, { reads: 'closed', loopback: true });
      await access.charge(await access.authenticate(`Bearer ${token}`), spend);
    }
    const access = createAccess(catalog.keys, { reads: 'closed', loopback: true });
    const viewer = await access.authenticate(`Bearer ${token}`);
    await assert.rejects(access.charge(viewer, 1), /has spent 100 of its 100 a day/);
    assert.deepEqual([...(await access.hidden(viewer))], []);
    const listed = await run(['keys', 'list']);
    assert.match(listed, /front-end\s+read,patch\s+toy\s+100\s+100/);
    assert.match(listed, /restricted models: toy/);
    assert.ok(!listed.includes(token.slice(20)));
    const id = token.split('_')[1]!;
    await run(['keys', 'revoke', id]);
    await assert.rejects(access.charge(viewer, 0), /unknown or was revoked/);
    await run(['keys', 'revoke', 'nobody'], 2);
    assert.match(await run(['keys', 'open', 'toy']), /toy is open/);
  });
});
