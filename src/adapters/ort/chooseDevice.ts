import { InferenceSession, Tensor } from 'onnxruntime-node';
import { GraphBuilder } from '../../onnx/graphBuilder.ts';
import { bundledDevices, deviceUnavailable } from './device.ts';
import type { Device, DeviceChoice } from './device.ts';

/**
 * The device to run on. A device counts as available when a one-node graph really runs on it with no way back to the CPU:
 * onnxruntime would otherwise fall back silently. Throws DEVICE_UNAVAILABLE.
 */
export async function chooseDevice(choice: DeviceChoice): Promise<Device> {
  const bundled = bundledDevices();
  if (choice === 'cpu') return 'cpu';
  const wanted: readonly Device[] = choice === 'auto' ? (['cuda', 'webgpu'] as const) : [choice];
  let cause: unknown;
  for (const device of wanted) {
    if (!bundled.includes(device)) continue;
    try {
      await tryDevice(device);
      return device;
    } catch (error) {
      cause = error;
    }
  }
  if (choice === 'auto') return 'cpu';
  throw deviceUnavailable(choice, ['cpu'], cause);
}

async function tryDevice(device: Device): Promise<void> {
  const g = new GraphBuilder('probe');
  const x = g.input('x', 'float32', [2]);
  g.output(g.node('Add', [x, x]), 'y', 'float32', [2]);
  const session = await InferenceSession.create(g.encode(), {
    executionProviders: [device],
    logSeverityLevel: 4,
    extra: { session: { disable_cpu_ep_fallback: '1' } },
  });
  try {
    await session.run({ x: new Tensor('float32', Float32Array.of(1, 2), [2]) });
  } finally {
    await session.release();
  }
}
