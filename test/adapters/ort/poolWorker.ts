import { threadId, workerData } from 'node:worker_threads';

/** A task for WorkerPool's own tests; `workerData` is what piscina wraps, so only its presence is looked at. */
export default async function runTask(task: { readonly kind: 'thread' | 'exit' | 'throw' }): Promise<number> {
  if (task.kind === 'exit') process.exit(3);
  if (task.kind === 'throw') throw new Error('the task itself failed');
  return workerData === undefined ? -1 : threadId;
}
