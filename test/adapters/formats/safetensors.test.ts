import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readSafetensors } from '../../../src/adapters/formats/safetensors.ts';
import { withFolder } from '../../helpers/withFolder.ts';

type Header = Readonly<Record<string, unknown>>;

function file(header: Header | string, data: Uint8Array): Buffer {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, data]);
}

async function read(bytes: Uint8Array): ReturnType<typeof readSafetensors> {
  return withFolder(async (folder) => {
    await writeFile(join(folder, 'w.safetensors'), bytes);
    return readSafetensors(join(folder, 'w.safetensors'));
  });
}

test('F32, F16, BF16 and F64 become float32', async () => {
  const data = Buffer.alloc(4 + 2 + 2 + 8);
  data.writeFloatLE(1.5, 0);
  data.writeUInt16LE(0xc500, 4); // -5 in half precision
  data.writeUInt16LE(0x4049, 6); // 3.140625 in bfloat16
  data.writeDoubleLE(0.1, 8);
  const { tensors, dtypes, metadata } = await read(
    file(
      {
        __metadata__: { format: 'pt' },
        d: { dtype: 'F64', shape: [1], data_offsets: [8, 16] },
        a: { dtype: 'F32', shape: [1, 1], data_offsets: [0, 4] },
        b: { dtype: 'F16', shape: [], data_offsets: [4, 6] },
        c: { dtype: 'BF16', shape: [1], data_offsets: [6, 8] },
      },
      data,
    ),
  );
  assert.deepEqual([...tensors].map(([name, { shape, data: values }]) => [name, shape, [...values]]), [
    ['a', [1, 1], [1.5]],
    ['b', [], [-5]],
    ['c', [1], [3.140625]],
    ['d', [1], [Math.fround(0.1)]],
  ]);
  assert.equal(dtypes.get('d'), 'F64');
  assert.deepEqual(metadata, { format: 'pt' });
});

test('a header that does not describe its bytes is refused', async () => {
  const entry = (from: number, to: number, shape = [(to - from) / 4], dtype = 'F32'): unknown => ({ dtype, shape, data_offsets: [from, to] });
  const eight = Buffer.alloc(8);
  const huge = Buffer.alloc(16);
  huge.writeBigUInt64LE(1n << 60n);
  const cases: readonly (readonly [Uint8Array, RegExp])[] = [
    [Buffer.alloc(0), /truncated/],
    [Buffer.alloc(5), /truncated/],
    [huge, /no safetensors file/],
    [file('{"a": ', eight), /not JSON/],
    [file('[]', Buffer.alloc(0)).subarray(0, 9), /truncated/],
    [file({ a: entry(0, 16) }, eight), /truncated/],
    [file({ a: entry(0, 4) }, eight), /expected \d+ bytes by its header/],
    [file({ a: entry(4, 8) }, eight), /hole or an overlap/],
    [file({ a: entry(0, 8), b: entry(4, 8) }, eight), /hole or an overlap/],
    [file({ a: entry(0, 8, [3]) }, eight), /expected 12 bytes, found 8/],
    [file({ a: entry(0, 8, [-2]) }, eight), /expected dtype, shape and data_offsets/],
    [file({ a: entry(0, 8, [2], 'F64') }, eight), /F64: expected 16 bytes/],
    [file({ a: entry(0, 8, [8], 'I8') }, eight), /tensor a is I8; expected F32, F16, BF16 or F64/],
    [file({ a: { dtype: 'F32', shape: [2] } }, eight), /data_offsets/],
  ];
  for (const [bytes, message] of cases) await assert.rejects(read(bytes), { code: 'BAD_DICTIONARY', message }, message.source);
});

test('values that are not finite are refused, also those beyond float32', async () => {
  const nan = Buffer.alloc(8);
  nan.writeFloatLE(Number.NaN, 4);
  await assert.rejects(read(file({ a: { dtype: 'F32', shape: [2], data_offsets: [0, 8] } }, nan)), { code: 'BAD_DICTIONARY', message: /tensor a \[2\] holds NaN at element 1/ });
  const large = Buffer.alloc(8);
  large.writeDoubleLE(1e300);
  await assert.rejects(read(file({ a: { dtype: 'F64', shape: [1], data_offsets: [0, 8] } }, large)), { code: 'BAD_DICTIONARY', message: /Infinity.*within float32/ });
  await assert.rejects(readSafetensors('/nowhere/w.safetensors'), { code: 'NOT_FOUND' });
});
