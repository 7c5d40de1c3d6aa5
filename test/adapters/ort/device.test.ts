import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseDevice } from '../../../src/adapters/ort/chooseDevice.ts';
import { bundledDevices, deviceUnavailable, operatorsOf } from '../../../src/adapters/ort/device.ts';

test('cpu is always there, and auto is a device that runs', async () => {
  assert.equal(await chooseDevice('cpu'), 'cpu');
  assert.ok(bundledDevices().includes(await chooseDevice('auto')));
});

test('a device whose libraries are not installed is refused, saying what there is and how to get it', { skip: bundledDevices().includes('cuda') ? 'CUDA libraries are installed here' : false }, async () => {
  await assert.rejects(chooseDevice('cuda'), { code: 'DEVICE_UNAVAILABLE', message: /cuda is not available here; available: cpu.*install the CUDA libraries/ });
});

test('a bundled device either runs or is refused by name', async () => {
  const found = await chooseDevice('webgpu').catch((error: unknown) => error);
  if (found !== 'webgpu') assert.match(String(found), /device webgpu is not available here; available: cpu.*GPU/);
});

test('the message lists every usable device', () => {
  assert.match(deviceUnavailable('cuda', ['webgpu', 'cpu']).message, /available: webgpu, cpu\./);
  assert.equal(operatorsOf('cuda'), 'plain');
  assert.equal(operatorsOf('cpu'), 'cpu');
});
