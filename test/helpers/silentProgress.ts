import type { Progress } from '../../src/ports/Progress.ts';

/** A Progress that keeps the lines said and shows nothing. */
export function silentProgress(said: string[] = []): Progress {
  return { start: () => ({ update: () => undefined, finish: () => undefined }), say: (line) => void said.push(line) };
}
