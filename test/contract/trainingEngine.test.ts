import { test } from 'node:test';
import { openTrainingEngine } from '../../src/adapters/ort/trainerEngine.ts';
import { openTfjsTrainingEngine } from '../../src/adapters/tfjs/trainingEngine.ts';
import { CASES } from './trainingEngine.ts';
import type { OpenEngine } from './trainingEngine.ts';

const ADAPTERS: Readonly<Record<string, OpenEngine>> = {
  onnxruntime: async (workers) => openTrainingEngine({ workers, threadsPerWorker: 1 }),
  tfjs: (workers) => openTfjsTrainingEngine({ workers, backend: 'wasm' }),
};

for (const [adapter, open] of Object.entries(ADAPTERS)) {
  for (const [what, check] of Object.entries(CASES)) test(`${adapter}: ${what}`, () => check(open));
}
