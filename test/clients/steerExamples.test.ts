import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { fileArtefacts } from '../../src/adapters/files/artefacts.ts';
import { openSubjectModel } from '../../src/adapters/ort/openSubjectModel.ts';
import { openTokenizer } from '../../src/adapters/tokenizers/openTokenizer.ts';
import { readConfig } from '../../src/config.ts';
import { startServer } from '../../src/main.ts';
import { randomDictionary } from '../helpers/randomDictionary.ts';
import { loadSeeded } from '../helpers/seedCatalog.ts';
import { withCatalog } from '../helpers/withCatalog.ts';
import { withFolder } from '../helpers/withFolder.ts';

const run = promisify(execFile);
const MODEL = resolve(import.meta.dirname, '../../models/demo');
const FOLDER = fileURLToPath(new URL('../../scripts/examples/', import.meta.url));
const PROMPT = 'Once upon a time';

test('the steering examples write what a clamped feature writes', async (t) => {
  await withFolder((home) =>
    withCatalog(async (catalog) => {
      const model = await openSubjectModel(MODEL, { device: 'cpu', workers: 1 });
      const tokenizer = await openTokenizer(MODEL);
      const { dModel, vocabSize } = model.info;
      const [token] = tokenizer.encode(' little');
      await catalog.writer.loadModel({ ...model.info, source: MODEL }, Array.from({ length: vocabSize }, (_, id) => (id < tokenizer.size ? tokenizer.token(id) : '')));
      // Feature 0 writes the token's own direction into the last stream.
      const drawn = randomDictionary('3-planted', 'resid_post.3', dModel, 8, { seed: 1, architecture: 'topk', k: 3 });
      drawn.decoder.set((await model.unembedding()).subarray(token! * dModel, (token! + 1) * dModel));
      await model.close();
      const { config } = await fileArtefacts().writeDictionary(join(home, 'planted'), { ...drawn, config: { ...drawn.config, model: 'demo' } }, null);
      await loadSeeded(catalog.writer, config, 'planted', 3);
      const server = await startServer({ ...readConfig({}), home, host: '127.0.0.1', port: 0, databaseUrl: catalog.url, device: 'cpu', workers: 1, logLevel: 'silent', hubToken: undefined }, pino({ level: 'silent' }));
      const env = { ...process.env, CATALOG_URL: server.url, CATALOG_KEY: '', PYTHONIOENCODING: 'utf-8', PYTHONDONTWRITEBYTECODE: '1' };
      try {
        await t.test('in TypeScript', async () => {
          const { stdout } = await run(process.execPath, [`${FOLDER}steer.ts`, '"case 0"', PROMPT, '1000'], { env });
          assert.match(stdout, /^demo\/3-planted\/0: the parenthesis in layer 3, case 0 <b>\nset to \d+\.\d\d after "Once upon a time"; first difference at token 0\n/);
          assert.match(stdout, /\n {2}steered {3}"( little)+"\n/);
        });
        const there = await run('python3', ['--version']).then(() => true, () => false);
        await t.test('in Python', { skip: there ? false : 'python3 is not there: the Python example was not run' }, async () => {
          const { stdout } = await run('python3', [`${FOLDER}steer.py`, 'demo/3-planted/0', PROMPT, '400'], { env });
          assert.match(stdout, /^unsteered '.*'\nsteered {3}'( little)+'\n$/);
        });
      } finally {
        await server.close();
      }
    }),
  );
});
