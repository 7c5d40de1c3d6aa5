import { Worker } from 'node:worker_threads';
import { OutsideError } from '../../../domain/errors.ts';

/** What all threads of a team share beside the numbers they work on. */
export interface TeamSetup<S> {
  readonly memory: WebAssembly.Memory;
  readonly control: SharedArrayBuffer;
  readonly setup: S;
  /** Module that exports `openMember`. */
  readonly module: string;
  /** This thread's number; 0 is the one that leads. */
  readonly thread: number;
}

/** One thread's hands: does one task of a phase. Which thread does which task must make no difference. */
export interface Member {
  task(phase: number, task: number): Promise<void> | void;
  close(): Promise<void>;
}

/** The module a team runs: makes a thread's member. */
export interface MemberModule<S> {
  openMember(memory: WebAssembly.Memory, setup: S, thread: number): Promise<Member>;
}

/** Places in the control block, 32-bit words. */
const GENERATION = 0;
const PHASE = 1;
const TASKS = 2;
const NEXT_TASK = 3;
const DONE = 4;
const FAILED = 5;
const WORDS = 16;

/**
 * Threads that go through the phases of a step together: the leader announces a phase of numbered tasks, every thread takes
 * tasks until there are none, and the leader goes on when all have finished. Between phases helpers sleep.
 */
export class Team {
  readonly #control: Int32Array;
  readonly #leader: Member;
  readonly #helpers: readonly Worker[];
  #failure: string | undefined;

  private constructor(control: Int32Array, leader: Member, helpers: readonly Worker[]) {
    this.#control = control;
    this.#leader = leader;
    this.#helpers = helpers;
  }

  static async open<S>(memory: WebAssembly.Memory, setup: S, module: URL, threads: number): Promise<Team> {
    const control = new SharedArrayBuffer(4 * WORDS);
    const { openMember } = (await import(module.href)) as MemberModule<S>;
    const leader = await openMember(memory, setup, 0);
    const helpers: Worker[] = [];
    const team = new Team(new Int32Array(control), leader, helpers);
    await Promise.all(
      Array.from({ length: threads - 1 }, (_, i) => {
        const workerData: TeamSetup<S> = { memory, control, setup, module: module.href, thread: i + 1 };
        const worker = new Worker(new URL('./teamThread.ts', import.meta.url), { workerData, name: 'kernels', execArgv: [] });
        helpers.push(worker);
        worker.on('message', (message: { error?: string }) => (team.#failure ??= message.error));
        return new Promise<void>((resolve, reject) => {
          worker.once('message', (message: { error?: string }) => {
            worker.unref();
            if (message.error === undefined) resolve();
            else reject(new OutsideError('onnxruntime', message.error));
          });
          worker.once('error', reject);
        });
      }),
    );
    return team;
  }

  /** Runs tasks 0 to `tasks` − 1 of a phase on all threads. */
  async run(phase: number, tasks: number): Promise<void> {
    const control = this.#control;
    control[PHASE] = phase;
    control[TASKS] = tasks;
    control[NEXT_TASK] = 0;
    control[DONE] = 0;
    Atomics.add(control, GENERATION, 1);
    Atomics.notify(control, GENERATION);
    try {
      await takeTasks(control, this.#leader);
    } finally {
      // Helpers must have left the phase before anything else is announced, whatever became of the leader.
      for (let done = Atomics.load(control, DONE); done < this.#helpers.length; done = Atomics.load(control, DONE)) Atomics.wait(control, DONE, done);
    }
    if (Atomics.load(control, FAILED) !== 0) {
      await new Promise((resolve) => setImmediate(resolve)); // lets the helper's message in
      throw new OutsideError('onnxruntime', this.#failure ?? 'a kernel thread failed');
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#helpers.map((worker) => worker.terminate()));
    await this.#leader.close();
  }
}

async function takeTasks(control: Int32Array, member: Member): Promise<void> {
  const phase = Atomics.load(control, PHASE);
  const tasks = Atomics.load(control, TASKS);
  for (let task = Atomics.add(control, NEXT_TASK, 1); task < tasks; task = Atomics.add(control, NEXT_TASK, 1)) await member.task(phase, task);
}

/** A helper's life: waits for phases and works on them until it is terminated. */
export async function followTeam(controlBuffer: SharedArrayBuffer, member: Member, fail: (error: unknown) => void): Promise<never> {
  const control = new Int32Array(controlBuffer);
  for (let seen = 0; ; ) {
    Atomics.wait(control, GENERATION, seen);
    seen++;
    try {
      await takeTasks(control, member);
    } catch (error) {
      Atomics.store(control, FAILED, 1);
      fail(error);
    }
    Atomics.add(control, DONE, 1);
    Atomics.notify(control, DONE);
  }
}
