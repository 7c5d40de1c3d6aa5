import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readCurrentRuns, updateCurrentRuns } from '../../../src/adapters/files/currentRuns.ts';
import { CallerError } from '../../../src/domain/errors.ts';
import { withFolder } from '../../helpers/withFolder.ts';

const dictionary = { train: 'runs/train-1', weights: 'runs/train-1/0-a', tokens: 'runs/tokens-1', trainRows: 5, analyse: 'runs/analyse-1' };

async function writeCurrent(home: string, content: unknown): Promise<void> {
  await mkdir(join(home, 'current'));
  await writeFile(join(home, 'current', 'm.json'), JSON.stringify(content));
}

test('a file of format 1 is read: its explain run was the pattern explainer', () =>
  withFolder(async (home) => {
    const dictionaries = { '0-a': { ...dictionary, explain: 'runs/explain-1' }, '1-a': { ...dictionary, explain: null } };
    await writeCurrent(home, { formatVersion: 1, model: 'm', source: '/m', dictionaries, circuits: { a: 'runs/circuits-1' } });
    assert.deepEqual(await readCurrentRuns(home, 'm'), {
      formatVersion: 3, model: 'm', source: '/m', circuits: { a: ['runs/circuits-1'] },
      dictionaries: { '0-a': { ...dictionary, explain: { 'pattern-v1': 'runs/explain-1' } }, '1-a': { ...dictionary, explain: {} } },
    });
    await updateCurrentRuns(home, 'm', '/m', (current) => current);
    assert.equal((JSON.parse(await readFile(join(home, 'current', 'm.json'), 'utf8')) as { formatVersion: number }).formatVersion, 3, 'written as format 3');
  }));

test('a file of format 2 is read: its circuits run was the only one of its set', () =>
  withFolder(async (home) => {
    const dictionaries = { '0-a': { ...dictionary, explain: {} } };
    await writeCurrent(home, { formatVersion: 2, model: 'm', source: '/m', dictionaries, circuits: { a: 'runs/circuits-1' } });
    assert.deepEqual(await readCurrentRuns(home, 'm'), { formatVersion: 3, model: 'm', source: '/m', dictionaries, circuits: { a: ['runs/circuits-1'] } });
  }));

test('a format of a later program is refused, a damaged file is said to be', () =>
  withFolder(async (home) => {
    await writeCurrent(home, { formatVersion: 4 });
    await assert.rejects(readCurrentRuns(home, 'm'), (error: unknown) => error instanceof CallerError && /version 1 to 3, found 4/.test(error.message));
    await writeFile(join(home, 'current', 'm.json'), '{"formatVersion": 2, "mod');
    await assert.rejects(readCurrentRuns(home, 'm'), /damaged/);
    assert.equal(await readCurrentRuns(home, 'other'), null);
  }));
