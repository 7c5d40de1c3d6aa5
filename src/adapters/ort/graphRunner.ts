import { invariant } from '../../domain/errors.ts';
import type { GraphRunner, GraphTensor, OpenGraph } from '../../ports/GraphRunner.ts';
import { WorkerPool } from './workerPool.ts';

/** A run of graph number `graph`; its bytes come with every request and are read by the worker the first time only. */
export interface GraphTask {
  readonly graph: number;
  /** In shared memory. */
  readonly bytes: Uint8Array;
  readonly inputs: Readonly<Record<string, GraphTensor>>;
  readonly outputs: readonly string[];
}

export type GraphAnswer = Readonly<Record<string, GraphTensor>>;

/** Graphs run by onnxruntime on the CPU in one worker thread, every operator spread over `threads` threads. */
export function openGraphRunner({ threads }: { readonly threads: number }): GraphRunner {
  invariant(threads >= 1, 'at least one thread');
  const pool = new WorkerPool<GraphTask, GraphAnswer>(new URL('./graphRunnerWorker.ts', import.meta.url), 1, { threads });
  let next = 0;
  return {
    name: 'onnxruntime cpu',
    async open(graph): Promise<OpenGraph> {
      const bytes = new Uint8Array(new SharedArrayBuffer(graph.length));
      bytes.set(graph);
      const number = next++;
      return {
        run: (inputs, outputs) => pool.run({ graph: number, bytes, inputs, outputs }),
        close: async () => void (await pool.run({ graph: number, bytes, inputs: {}, outputs: [] })),
      };
    },
    close: () => pool.close(),
  };
}
