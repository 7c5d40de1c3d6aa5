import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { asKind } from '../../../src/adapters/formats/pickleValues.ts';
import { openTorch } from '../../../src/adapters/formats/torch.ts';
import { readTorchState } from '../../../src/adapters/formats/torchState.ts';
import { writeTorchState } from '../../../src/adapters/formats/torchWrite.ts';
import type { TypedTensor } from '../../../src/adapters/formats/typedTensors.ts';
import { withFolder } from '../../helpers/withFolder.ts';
import { FORMATS } from './parity.ts';
import { bool, call, dict, emptyDict, floats, global, integer, list, opcodes, persistent, pickle, tensor, text, torchFile, tuple } from './pickleBytes.ts';

const FOLDER = join(FORMATS, 'torch');
const bad = (message: RegExp): object => ({ code: 'BAD_DICTIONARY', message });

async function tensorsOf(path: string): Promise<Map<string, TypedTensor>> {
  const file = await openTorch(path);
  try {
    const found = new Map<string, TypedTensor>();
    for (const [name, value] of asKind(file.root, 'dict')!.entries) found.set(String(name), await file.tensor(value, String(name)));
    return found;
  } finally {
    await file.close();
  }
}

for (const protocol of [2, 3, 4, 5]) {
  test(`every type, view and parameter of pickle protocol ${protocol} holds PyTorch's numbers`, async () => {
    const { tensors } = JSON.parse(await readFile(join(FOLDER, 'types.json'), 'utf8')) as { tensors: Record<string, { shape: number[]; values: number[] }> };
    const found = await tensorsOf(join(FOLDER, `types-${protocol}.pt`));
    assert.deepEqual([...found.keys()], Object.keys(tensors));
    for (const [name, { shape, values }] of Object.entries(tensors)) {
      assert.deepEqual([...found.get(name)!.shape], shape, name);
      assert.deepEqual([...found.get(name)!.data], values.map(Math.fround), name);
    }
    for (const type of ['float32', 'float16', 'bfloat16', 'float64', 'int64', 'int32', 'bool'] as const) assert.equal(found.get(type)!.type, type);
  });
}

test('old files, scripts, pointers, empty files and expanded views say what to do', async () => {
  await assert.rejects(openTorch(join(FOLDER, 'legacy.pt')), bad(/bare pickle or tar, as PyTorch wrote before 1\.6.*torch\.save\(torch\.load/));
  await assert.rejects(openTorch(join(FOLDER, 'script.pt')), bad(/TorchScript archive, which holds code/));
  await assert.rejects(tensorsOf(join(FOLDER, 'expanded.pt')), bad(/tensor x \[1000\] is an expanded view of 1 numbers; save it again with \.contiguous\(\)/));
  await withFolder(async (folder) => {
    const path = join(folder, 'a.pt');
    for (const [content, message] of [['', /is empty/], ['version https://git-lfs.github.com/spec/v1\noid sha256:00', /Git LFS pointer/], ['hello', /cannot be read as a zip/], [`${'\0'.repeat(257)}ustar`, /tar/]] as const) {
      await writeFile(path, content);
      await assert.rejects(openTorch(path), bad(message));
    }
    await assert.rejects(openTorch(join(folder, 'none.pt')), bad(/does not exist/));
  });
});

/** A state_dict made of these pieces. */
async function readBytes(data: Buffer, storages?: Readonly<Record<string, Uint8Array>>, more?: Readonly<Record<string, string>>): Promise<Awaited<ReturnType<typeof readTorchState>>> {
  return await withFolder(async (folder) => {
    await writeFile(join(folder, 'a.pt'), torchFile(data, storages, more));
    return await readTorchState(join(folder, 'a.pt'));
  });
}

test('a pickle that would run a program is refused by the name of what it calls, and does not run', async () => {
  await withFolder(async (folder) => {
    const mark = join(folder, 'executed');
    for (const [module, name, argument] of [['os', 'system', `touch ${mark}`], ['posix', 'system', `touch ${mark}`], ['builtins', 'exec', `open(${JSON.stringify(mark)}, "w")`]] as const) {
      await assert.rejects(readBytes(pickle(dict(text('W'), call(global(module, name), text(argument))))), bad(new RegExp(`asks for "${module}\\.${name}"`)));
    }
    await assert.rejects(readFile(mark), { code: 'ENOENT' });
  });
});

test('tensors that reach outside their storage, lie about it or have none are refused', async () => {
  const one = floats([1, 2, 3, 4, 5, 6]);
  const read = async (piece: Buffer, storages: Readonly<Record<string, Uint8Array>> = { 0: one }): Promise<unknown> => await readBytes(pickle(dict(text('W'), piece)), storages);
  await read(tensor({ shape: [2, 3], elements: 6 }));
  await assert.rejects(read(tensor({ shape: [2, 4], elements: 6 })), bad(/tensor W reaches element 7 of a storage of 6/));
  await assert.rejects(read(tensor({ shape: [2, 3], offset: 1, elements: 6 })), bad(/reaches element 6/));
  await assert.rejects(read(tensor({ shape: [2, 3], strides: [4, 1], elements: 6 })), bad(/reaches element 6/));
  await assert.rejects(read(tensor({ shape: [2, 3], strides: [-3, 1], elements: 6 })), bad(/no valid offset, size and strides/));
  await assert.rejects(read(tensor({ shape: [2, 3], strides: [3], elements: 6 })), bad(/no valid offset/));
  await assert.rejects(read(tensor({ shape: [100_000, 100_000], strides: [0, 0], elements: 6 })), bad(/expanded view of 6/));
  await assert.rejects(read(tensor({ shape: Array.from({ length: 9 }, () => 1), elements: 6 })), bad(/no valid offset/));
  await assert.rejects(read(tensor({ shape: [2, 3], elements: 7 })), bad(/storage 0 of 24 bytes, expected 7 elements of 4 bytes/));
  await assert.rejects(read(tensor({ shape: [2, 3], elements: 6, key: '5' })), bad(/has no f\/data\/5/));
  await assert.rejects(read(tensor({ shape: [2, 3], elements: 6, key: '../data.pkl' })), bad(/has no f\/data\/\.\.\/data\.pkl/));
  await assert.rejects(read(tensor({ shape: [2, 3], elements: 6, storage: 'ComplexFloatStorage' })), bad(/asks for "torch\.ComplexFloatStorage"/));
  await assert.rejects(read(persistent(tuple(text('storage')))), bad(/a reference to something beside the pickle by the name "W", expected tensors only/));
  const rebuilt = (...args: Buffer[]): Buffer => call(global('torch._utils', '_rebuild_tensor_v2'), ...args);
  await assert.rejects(read(rebuilt(persistent(tuple(text('module'), text('x'))), integer(0), tuple(), tuple(), bool(false))), bad(/a "module" of "x", expected a storage/));
  await assert.rejects(read(rebuilt()), bad(/no valid offset/));
  const conjugate = Buffer.concat([tensor({ shape: [6], elements: 6 }).subarray(0, -2), dict(text('neg'), bool(true)), opcodes('tR')]);
  await assert.rejects(read(conjugate), bad(/conjugate or negative view/));
  await assert.rejects(readBytes(pickle(dict(text('a'), tensor({ shape: [6], elements: 6 }), text('b'), tensor({ shape: [6], elements: 6, storage: 'IntStorage' }))), { 0: one }), bad(/storage 0 as torch\.IntStorage, another tensor as torch\.FloatStorage/));
});

test('what is no state_dict is refused', async () => {
  await assert.rejects(readBytes(pickle(list())), bad(/holds a list of 0, expected a state_dict/));
  await assert.rejects(readBytes(pickle(dict(text('optimizer'), emptyDict))), bad(/a dict of 0 by the name "optimizer", expected tensors only/));
  await assert.rejects(readBytes(pickle(dict(integer(1), tensor({ shape: [1], elements: 1 }))), { 0: floats([1]) }), bad(/by the name 1, expected tensors only/));
});

test('bytes of the other order are turned; a wrong order is refused', async () => {
  const data = pickle(dict(text('W'), tensor({ shape: [2], elements: 2 }), text('k'), tensor({ shape: [], key: '1', storage: 'LongStorage', elements: 1 })));
  const big = { 0: new Uint8Array([0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0]), 1: new Uint8Array([0, 0, 0, 0, 0, 0, 0, 9]) };
  const state = await readBytes(data, big, { byteorder: 'big' });
  assert.deepEqual([...state.take('W', 2)], [1, -2]);
  assert.equal(state.scalar('k'), 9);
  await assert.rejects(readBytes(data, big, { byteorder: 'middle' }), bad(/byteorder is "middle"/));
});

test('whole numbers and float64 are kept exactly or said to be rounded', async () => {
  const double = Buffer.alloc(8);
  double.writeDoubleLE(0.1);
  const state = await readBytes(pickle(dict(text('W'), tensor({ shape: [1], storage: 'DoubleStorage', elements: 1 }))), { 0: double });
  assert.deepEqual([...state.take('W', 1)], [Math.fround(0.1)]);
  assert.deepEqual(state.notes(), ['float64 rounded to float32: W']);
  const long = Buffer.alloc(8);
  long.writeBigInt64LE(2n ** 60n + 1n);
  await assert.rejects(readBytes(pickle(dict(text('k'), tensor({ shape: [1], storage: 'LongStorage', elements: 1 }))), { 0: long }), bad(/tensor k holds \d+, a whole number beyond/));
});

test('one storage given out a thousand times is refused', async () => {
  const values = new Float32Array(1 << 18);
  const pairs = Array.from({ length: 1000 }, (_, i) => [text(`W${i}`), tensor({ shape: [512, 512], strides: [1, 512], elements: 1 << 18 })]).flat();
  await assert.rejects(readBytes(pickle(dict(...pairs)), { 0: floats(values) }), bad(/looks made to exhaust memory/));
});

test('what we write is what we read, and equal input gives equal bytes', async () => {
  await withFolder(async (folder) => {
    const tensors = new Map([['W.weight', { shape: [2, 3], data: Float32Array.of(1, 2, 3, -4, 5e-30, 6) }], ['ü', { shape: [], data: Float32Array.of(-1) }], ['k', { int32: 32 }]] as const);
    for (const name of ['a.pt', 'b.pt']) await writeTorchState(join(folder, name), tensors);
    assert.deepEqual(await readFile(join(folder, 'a.pt')), await readFile(join(folder, 'b.pt')));
    const state = await readTorchState(join(folder, 'a.pt'));
    assert.deepEqual([...state.tensors].map(([name, { shape, data, type }]) => [name, [...shape], [...data], type]), [['W.weight', [2, 3], [...Float32Array.of(1, 2, 3, -4, 5e-30, 6)], 'float32'], ['ü', [], [-1], 'float32'], ['k', [], [32], 'int32']]);
  });
});
