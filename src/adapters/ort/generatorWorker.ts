import { workerData } from 'piscina';
import { GeneratorEngine } from './generatorEngine.ts';
import type { GeneratorResult, GeneratorSetup, GeneratorTask } from './generatorMessages.ts';
import { GeneratorSession } from './generatorSession.ts';

/** Runs in a worker thread of the pool, as many tasks at a time as the engine has slots. */

const setup = workerData as GeneratorSetup;
let engine: Promise<GeneratorEngine> | undefined;

async function openEngine(): Promise<GeneratorEngine> {
  return new GeneratorEngine(await GeneratorSession.open(setup), setup.vocabSize, setup.reuse);
}

export default async function runTask(task: GeneratorTask): Promise<GeneratorResult> {
  const open = await (engine ??= openEngine());
  if (task.kind === 'score') return open.score(task.ids, task.from, task.top);
  const { port, request } = task;
  try {
    return await open.generate(request, port === null ? null : (token) => port.postMessage(token));
  } finally {
    port?.close();
  }
}
