import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { openSubjectModel } from '../../../src/adapters/ort/openSubjectModel.ts';
import { FIXTURES, readFixture } from '../../lm/fixture.ts';

const open = (folder: string) => openSubjectModel(folder, { device: 'cpu', workers: 1 });

/** A copy of a good model folder that a test may damage. */
function copyOf(t: TestContext, name: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'model-test-'));
  t.after(() => rmSync(folder, { recursive: true }));
  cpSync(`${FIXTURES}/${name}`, folder, { recursive: true });
  return folder;
}

type Header = Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;

function readModel(folder: string): { header: Header; data: Buffer } {
  const file = readFileSync(join(folder, 'model.safetensors'));
  const length = Number(file.readBigUInt64LE(0));
  return { header: JSON.parse(file.toString('utf8', 8, 8 + length)) as Header, data: file.subarray(8 + length) };
}

function writeModel(path: string, header: object, data: Buffer): void {
  const json = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(json.length));
  writeFileSync(path, Buffer.concat([size, json, data]));
}

function changeConfig(folder: string, change: object): void {
  const path = join(folder, 'config.json');
  writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), ...change }));
}

const CONFIGS: readonly (readonly [string, string, object, string, RegExp])[] = [
  ['unknown architecture', 'gpt2-plain', { model_type: 'mamba' }, 'UNSUPPORTED_ARCHITECTURE', /"mamba", expected one of gpt_neox, gpt2, llama/],
  ['no architecture', 'gpt2-plain', { model_type: null }, 'BAD_MODEL_FILE', /model_type: expected text, found nothing/],
  ['missing size', 'llama-gqa', { hidden_size: null }, 'BAD_MODEL_FILE', /hidden_size: expected a whole number.*found nothing/],
  ['odd size', 'llama-gqa', { num_hidden_layers: '2' }, 'BAD_MODEL_FILE', /num_hidden_layers: .*found "2"/],
  ['heads that do not divide', 'gpt2-plain', { n_head: 5 }, 'BAD_MODEL_FILE', /n_embd 32 is no multiple of n_head 5/],
  ['key heads that do not divide', 'llama-gqa', { num_key_value_heads: 3 }, 'BAD_MODEL_FILE', /no multiple of num_key_value_heads 3/],
  ['activation we do not compute', 'gpt2-plain', { activation_function: 'toString' }, 'UNSUPPORTED', /"toString" is not supported, expected one of gelu/],
  ['rotary rule we do not compute', 'llama-gqa', { rope_parameters: { rope_type: 'yarn', factor: 2 } }, 'UNSUPPORTED', /"yarn".*default, linear or llama3/],
  ['rotary rule without its factor', 'llama-gqa', { rope_parameters: { rope_type: 'linear' } }, 'BAD_MODEL_FILE', /factor: expected a number/],
  ['cross attention', 'gpt2-plain', { add_cross_attention: true }, 'UNSUPPORTED', /add_cross_attention/],
  ['a layer too many', 'neox-parallel', { num_hidden_layers: 3 }, 'MISSING_TENSOR', /gpt_neox\.layers\.2\.input_layernorm\.weight \[64\]: expected by config\.json/],
  ['vocabulary too small', 'llama-gqa', { vocab_size: 58 }, 'WRONG_SHAPE', /embed_tokens\.weight: config\.json asks for \[58, 48\], the weights have \[59, 48\]/],
  ['wrong width of a fused part', 'llama-gqa', { intermediate_size: 55 }, 'WRONG_SHAPE', /gate_proj\.weight: config\.json asks for \[55, 48\]/],
];

for (const [name, fixture, change, code, message] of CONFIGS) {
  test(`refused: ${name}`, async (t) => {
    const folder = copyOf(t, fixture);
    changeConfig(folder, change);
    await assert.rejects(open(folder), { code, message });
  });
}

test('refused: folders and files that are not there or no JSON', async (t) => {
  const folder = copyOf(t, 'gpt2-plain');
  await assert.rejects(open(join(folder, 'nowhere')), { code: 'NOT_FOUND', message: /expected a folder.*found nothing/ });
  await assert.rejects(open(join(folder, 'config.json')), { code: 'NOT_FOUND', message: /found a file/ });
  rmSync(join(folder, 'model.safetensors'));
  await assert.rejects(open(folder), { code: 'NOT_FOUND', message: /model\.safetensors or model\.safetensors\.index\.json, found neither/ });
  writeFileSync(join(folder, 'config.json'), '{');
  await assert.rejects(open(folder), { code: 'BAD_MODEL_FILE', message: /config\.json is not JSON/ });
  rmSync(join(folder, 'config.json'));
  await assert.rejects(open(folder), { code: 'NOT_FOUND', message: /config\.json/ });
});

test('refused: safetensors cut at any place', async (t) => {
  const folder = copyOf(t, 'gpt2-plain');
  const path = join(folder, 'model.safetensors');
  const whole = readFileSync(path);
  const header = Number(whole.readBigUInt64LE(0));
  for (const size of [0, 5, 8, 8 + header - 1, 8 + header, 8 + header + 100, whole.length - 1]) {
    writeFileSync(path, whole);
    truncateSync(path, size);
    await assert.rejects(open(folder), { code: 'BAD_MODEL_FILE', message: /truncated/ }, `cut at ${size}`);
  }
});

test('refused: files that are no safetensors, tensors whose bytes do not fit their shape', async (t) => {
  const folder = copyOf(t, 'gpt2-plain');
  const path = join(folder, 'model.safetensors');
  const { header, data } = readModel(folder);
  writeFileSync(path, Buffer.from('this is a text file, not weights'));
  await assert.rejects(open(folder), { code: 'BAD_MODEL_FILE', message: /no safetensors file/ });
  writeFileSync(path, Buffer.concat([Buffer.from([4, 0, 0, 0, 0, 0, 0, 0]), Buffer.from('{"a"'), data]));
  await assert.rejects(open(folder), { code: 'BAD_MODEL_FILE', message: /not JSON/ });
  const name = Object.keys(header).find((key) => key.endsWith('ln_f.weight'))!;
  writeModel(path, { ...header, [name]: { ...header[name], shape: [31] } }, data);
  await assert.rejects(open(folder), { code: 'BAD_MODEL_FILE', message: /ln_f\.weight \[31\] F32: expected 124 bytes, found 128/ });
  writeModel(path, { ...header, [name]: { dtype: 'F32' } }, data);
  await assert.rejects(open(folder), { code: 'BAD_MODEL_FILE', message: /ln_f\.weight: expected dtype, shape and data_offsets/ });
  const { [name]: _left, ...rest } = header;
  writeModel(path, rest, data);
  await assert.rejects(open(folder), { code: 'MISSING_TENSOR', message: /ln_f\.weight/ });
});

test('shards, half precision and bfloat16 give the numbers they hold', async (t) => {
  const fixture = readFixture('llama-gqa');
  const { batch } = fixture.plain;
  const request = { batch, taps: ['resid_post.1'] as const, logits: 'none' as const };
  const run = async (folder: string): Promise<Float32Array> => {
    const model = await open(folder);
    try {
      return (await model.forward(request)).taps.get('resid_post.1')!;
    } finally {
      await model.close();
    }
  };
  const expected = await run(fixture.folder!);

  const folder = copyOf(t, 'llama-gqa');
  const { header, data } = readModel(folder);
  const { __metadata__: _metadata, ...tensors } = header;
  const names = Object.keys(tensors).sort();
  rmSync(join(folder, 'model.safetensors'));
  const map: Record<string, string> = {};
  for (const part of [0, 1]) {
    const file = `model-0000${part + 1}-of-00002.safetensors`;
    const mine = names.filter((_, i) => i % 2 === part);
    for (const name of mine) map[name] = file;
    writeModel(join(folder, file), Object.fromEntries(mine.map((name) => [name, tensors[name]])), data);
  }
  const index = join(folder, 'model.safetensors.index.json');
  writeFileSync(index, JSON.stringify({ weight_map: map }));
  assert.deepEqual(await run(folder), expected, 'two shards');
  writeFileSync(index, JSON.stringify({ weight_map: { ...map, x: 'gone.safetensors' } }));
  await assert.rejects(open(folder), { code: 'BAD_MODEL_FILE', message: /gone\.safetensors, which is not in the folder/ });
  writeFileSync(index, JSON.stringify({ weight_map: { ...map, x: '../x.safetensors' } }));
  await assert.rejects(open(folder), { code: 'BAD_MODEL_FILE', message: /no plain file name/ });
  writeFileSync(index, JSON.stringify({}));
  await assert.rejects(open(folder), { code: 'BAD_MODEL_FILE', message: /weight_map/ });
  rmSync(index);

  // Rounding to bfloat16 first, then storing the same numbers as F32 and as BF16, must give the same run.
  const floats = new Float32Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.length));
  const bits = new Uint32Array(floats.buffer);
  for (let i = 0; i < bits.length; i++) bits[i] &= 0xffff0000;
  const path = join(folder, 'model.safetensors');
  writeModel(path, header, Buffer.from(floats.buffer));
  const rounded = await run(folder);
  const half = Buffer.alloc(2 * bits.length);
  for (let i = 0; i < bits.length; i++) half.writeUInt16LE(bits[i] >>> 16, 2 * i);
  const halved = (dtype: string) =>
    Object.fromEntries(names.map((name) => [name, { ...tensors[name], dtype, data_offsets: tensors[name].data_offsets.map((at) => at / 2) }]));
  writeModel(path, halved('BF16'), half);
  assert.deepEqual(await run(folder), rounded, 'BF16');

  const sixteen = new Float16Array(floats);
  writeModel(path, header, Buffer.from(Float32Array.from(sixteen).buffer));
  const asFloats = await run(folder);
  writeModel(path, halved('F16'), Buffer.from(sixteen.buffer));
  assert.deepEqual(await run(folder), asFloats, 'F16');
});

test('info says what was opened; unembedding and final gain are the file\'s', async () => {
  const fixture = readFixture('neox-serial'); // tied
  const model = await openSubjectModel(fixture.folder!, { device: 'cpu', workers: 1, name: 'chosen' });
  const { header, data } = readModel(fixture.folder!);
  const tensor = (name: string): number[] => {
    const [start, end] = header[name].data_offsets;
    return Array.from({ length: (end - start) / 4 }, (_, i) => data.readFloatLE(start + 4 * i));
  };
  assert.deepEqual(Array.from(await model.unembedding()), tensor('gpt_neox.embed_in.weight'));
  assert.deepEqual(Array.from((await model.finalNorm()).gain), tensor('gpt_neox.final_layer_norm.weight'));
  const { name, architecture, layers, dModel, vocabSize, contextLength, parameters, weightsHash } = model.info;
  assert.deepEqual([name, architecture, layers, dModel, vocabSize, contextLength], ['chosen', 'gpt_neox', 3, 24, 50, 48]);
  const { __metadata__: _metadata, ...tensors } = header;
  assert.equal(parameters, Object.values(tensors).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0));
  assert.match(weightsHash, /^[0-9a-f]{64}$/);
  assert.equal(model.concurrency, 1);
  await model.close();
});
