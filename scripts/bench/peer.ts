import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A Python program of this folder that says when it is ready, then answers each line with one line of JSON. */
export class Peer {
  readonly #python: string;
  readonly #child;
  readonly #lines;

  constructor(python: string, script: string, args: readonly string[]) {
    this.#python = python;
    this.#child = spawn(python, [fileURLToPath(new URL(script, import.meta.url)), ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async next<T>(): Promise<T> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error(`the peer ended: is transformers installed for ${this.#python}?`);
    return JSON.parse(value) as T;
  }

  run<T>(what: string): Promise<T> {
    this.#child.stdin.write(`${what}\n`);
    return this.next<T>();
  }

  close(): void {
    this.#child.stdin.end();
  }
}
