import assert from 'node:assert/strict';
import { copyFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { learnedDicts } from '../../../src/adapters/formats/learnedDicts.ts';
import { withFolder } from '../../helpers/withFolder.ts';
import { assertSame, originalOf } from './originals.ts';
import { FORMATS, weightsOf } from './parity.ts';
import { bool, dict, emptyDict, floats, global, instance, integer, list, pickle, tensor, text, torchFile, tuple } from './pickleBytes.ts';

const FOLDER = join(FORMATS, 'learned_dicts');

interface Originals {
  readonly vectors: number[][];
  readonly codes: number[][][];
  readonly reconstruction: number[][][];
}

test('every entry gives the codes and reconstructions of its own class', async () => {
  assert.ok(await learnedDicts.recognises(await readdir(FOLDER), FOLDER));
  const found = await learnedDicts.read(FOLDER);
  const { vectors, codes, reconstruction } = await originalOf<Originals>(FOLDER);
  assert.deepEqual(found.map(({ label, architecture, k }) => [label, architecture, k]), [
    ['0', 'tied', null], ['1', 'tied', null], ['2', 'tied', null], ['3', 'untied', null], ['4', 'untied', null], ['5', 'untied', null], ['6', 'topk', 4], ['7', 'random', null],
  ]);
  for (const [i, dictionary] of found.entries()) {
    assertSame(weightsOf(dictionary), { vectors, codes: codes[i]!, reconstruction: reconstruction[i]! }, `entry ${i}`);
    assert.equal(dictionary.hook.point, null);
    assert.equal(dictionary.model, null);
  }
  assert.match(found[1]!.notes.join(), /centring is folded.*l1_alpha 0\.001/s);
  assert.match(found[2]!.notes.join(), /rotation.*l1_alpha 0\.5/s);
});

test('several files of one folder are told apart', async () => {
  await withFolder(async (folder) => {
    for (const name of ['learned_dicts_epoch_0.pt', 'learned_dicts_epoch_1.pt']) await copyFile(join(FOLDER, 'learned_dicts.pt'), join(folder, name));
    const labels = (await learnedDicts.read(folder)).map(({ label }) => label);
    assert.equal(new Set(labels).size, 16);
    assert.equal(labels[9], 'learned_dicts_epoch_1-1');
  });
});

const TIED = global('autoencoders.learned_dict', 'TiedSAE');
const matrix = tensor({ shape: [2, 3], elements: 6 });
const bias = tensor({ shape: [2], key: '1', elements: 2 });
const fields = [text('encoder'), matrix, text('encoder_bias'), bias, text('norm_encoder'), bool(true)];

async function readBytes(pickled: Buffer, values: Iterable<number> = [1, 2, 3, 4, 5, 6]): Promise<Awaited<ReturnType<typeof learnedDicts.read>>> {
  return await withFolder(async (folder) => {
    await writeFile(join(folder, 'learned_dicts.pt'), torchFile(pickled, { 0: floats(values), 1: floats([0.5, -0.5]) }));
    return await learnedDicts.read(folder);
  });
}

test('objects from before there was centring are read; a row of zeros stays one', async () => {
  const [found] = await readBytes(pickle(list(tuple(instance(TIED, dict(...fields)), emptyDict))), [0, 0, 0, 3, 0, 4]);
  assert.deepEqual([...found!.parameters.decoder].map((value) => Math.round(10 * value) / 10), [0, 0, 0, 0.6, 0, 0.8]);
  assert.deepEqual([...found!.parameters.encoderBias], [0.5, -0.5]);
});

test('unknown, missing and contradicting fields, other classes, other shapes and NaN are refused by name', async () => {
  const entry = (object: Buffer): Buffer => pickle(list(tuple(object, emptyDict)));
  const bad = (message: RegExp): object => ({ code: 'BAD_DICTIONARY', message });
  await assert.rejects(readBytes(entry(instance(TIED, dict(...fields, text('temperature'), integer(1))))), bad(/entry 0: .*TiedSAE has fields .*temperature/));
  await assert.rejects(readBytes(entry(instance(TIED, dict(...fields.slice(0, 4))))), bad(/expected encoder, encoder_bias, norm_encoder/));
  await assert.rejects(readBytes(entry(instance(TIED, dict(...fields, text('n_feats'), integer(3))))), bad(/n_feats is 3, expected 2/));
  await assert.rejects(readBytes(entry(instance(TIED, dict(...fields, text('center_rot'), matrix)))), bad(/center_rot has shape \[2, 3\], expected \[3, 3\]/));
  await assert.rejects(readBytes(entry(instance(TIED, dict(...fields, text('center_scale'), tensor({ shape: [3], elements: 6 })))), [0, 1, 1, 1, 1, 1]), bad(/holds (Infinity|NaN)/));
  await assert.rejects(readBytes(entry(instance(TIED, dict(...fields))), [1, 2, NaN, 4, 5, 6]), bad(/holds NaN/));
  await assert.rejects(readBytes(entry(instance(global('autoencoders.learned_dict', 'ReverseSAE'), dict(...fields)))), bad(/ReverseSAE, whose codes are no/));
  await assert.rejects(readBytes(entry(instance(global('autoencoders.learned_dict', 'SomethingNew'), dict(...fields)))), bad(/asks for "autoencoders.learned_dict.SomethingNew"/));
  await assert.rejects(readBytes(entry(instance(TIED, tuple()))), bad(/no plain fields/));
  await assert.rejects(readBytes(pickle(list())), bad(/expected a list of/));
  await assert.rejects(readBytes(pickle(list(matrix))), bad(/expected \(LearnedDict, hyper-parameters\)/));
});

test('a list that names the same large object a million times over does not fill the memory', async () => {
  const entry = tuple(instance(TIED, dict(text('encoder'), tensor({ shape: [500, 1000], elements: 500_000 }), text('encoder_bias'), tensor({ shape: [500], elements: 500_000 }), text('norm_encoder'), bool(true))), emptyDict);
  // BINPUT 0, then BINGET 0 for each entry.
  const many = Buffer.concat([Buffer.from('](', 'latin1'), entry, Buffer.from('q\x00', 'latin1'), Buffer.from('h\x00'.repeat(400_000), 'latin1'), Buffer.from('e', 'latin1')]);
  await assert.rejects(readBytes(pickle(many), Array.from({ length: 500_000 }, () => 1)), { code: 'BAD_DICTIONARY', message: /made to exhaust memory/ });
});
