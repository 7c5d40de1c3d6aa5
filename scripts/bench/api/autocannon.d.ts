declare module 'autocannon' {
  import type { EventEmitter } from 'node:events';

  interface Options {
    readonly url: string;
    readonly connections: number;
    readonly duration: number;
    readonly requests: readonly { readonly method: 'POST'; readonly headers: Readonly<Record<string, string>>; readonly body: string }[];
  }

  interface Result {
    readonly requests: { readonly total: number };
    readonly duration: number;
    readonly errors: number;
    readonly timeouts: number;
    readonly non2xx: number;
    readonly throughput: { readonly total: number };
  }

  export default function autocannon(options: Options, done: (error: Error | null, result: Result) => void): EventEmitter;
}
