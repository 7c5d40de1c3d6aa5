import type { Progress } from '../../src/ports/Progress.ts';

/** Keeps what is said; shows nothing. `onUpdate` sees every update of every task. */
export function quietProgress(onUpdate: (label: string, done: number, note: string | undefined) => void = () => undefined): Progress & { readonly lines: string[] } {
  const lines: string[] = [];
  return {
    lines,
    say: (line) => void lines.push(line),
    start: (label) => ({ update: (done, note) => onUpdate(label, done, note), finish: () => undefined }),
  };
}
