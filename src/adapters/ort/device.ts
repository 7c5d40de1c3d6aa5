import { listSupportedBackends } from 'onnxruntime-node';
import { CallerError } from '../../domain/errors.ts';
import type { OperatorSet } from '../../lm/spanContext.ts';

/** What a user asks for. */
export type DeviceChoice = 'cpu' | 'cuda' | 'webgpu' | 'auto';
/** What runs. */
export type Device = Exclude<DeviceChoice, 'auto'>;

/** The fused CPU attention has no float32 kernel elsewhere, so other devices get standard operators. */
export function operatorsOf(device: Device): OperatorSet {
  return device === 'cpu' ? 'cpu' : 'plain';
}

/** Devices this build of onnxruntime-node ships, before asking whether the machine has the hardware. */
export function bundledDevices(): readonly Device[] {
  const names = new Set(listSupportedBackends().filter((backend) => backend.bundled).map((backend) => backend.name));
  return (['cuda', 'webgpu', 'cpu'] as const).filter((device) => names.has(device));
}

const HOW: Readonly<Record<Device, string>> = {
  cpu: 'reinstall onnxruntime-node for this platform',
  cuda:
    'install the CUDA libraries of onnxruntime-node on a Linux x64 machine with an NVIDIA driver: ' +
    'ONNXRUNTIME_NODE_INSTALL=cuda12 node node_modules/onnxruntime-node/script/install.js',
  webgpu: 'run on a machine with a GPU and a Vulkan, Metal or Direct3D 12 driver',
};

/** DEVICE_UNAVAILABLE: says what was asked, what there is, and how to get it. */
export function deviceUnavailable(device: Device, usable: readonly Device[], cause?: unknown): CallerError {
  const message = `device ${device} is not available here; available: ${usable.join(', ')}. To use it: ${HOW[device]}`;
  return new CallerError('DEVICE_UNAVAILABLE', message, cause === undefined ? {} : { cause });
}
