import { fork, type ChildProcess } from 'node:child_process';

/** A server in a process of its own that speaks over IPC: `{ url }` when it listens, `{ rss }` when asked, and ends at `stop`. */
export class Child {
  readonly url: string;
  readonly #process: ChildProcess;

  private constructor(child: ChildProcess, url: string) {
    this.#process = child;
    this.url = url;
  }

  static async start(file: string, args: readonly string[], env: Readonly<Record<string, string>>, execArgv: readonly string[] = []): Promise<Child> {
    const child = fork(file, args, { env: { ...process.env, ...env }, execArgv: [...execArgv], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const { url } = (await heard(child)) as { url: string };
    return new Child(child, url);
  }

  /** Resident memory in MB. */
  async rss(): Promise<number> {
    this.#process.send('rss');
    return ((await heard(this.#process)) as { rss: number }).rss / 1e6;
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.send('stop');
    await ended;
  }
}

async function heard(child: ChildProcess): Promise<unknown> {
  return await new Promise((resolve, reject) => {
    const gone = (code: number | null): void => reject(new Error(`the server ended with ${code}`));
    child.once('exit', gone);
    child.once('message', (message) => {
      child.off('exit', gone);
      resolve(message);
    });
  });
}
