import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { MeiliFailure, type MeiliConnection } from './connection.ts';

/** What the server says of work it has only taken on. */
export const Enqueued = z.object({ taskUid: z.number().int() });
const Task = z.object({
  status: z.enum(['enqueued', 'processing', 'succeeded', 'failed', 'canceled']),
  error: z.object({ message: z.string(), code: z.string() }).nullish(),
});

const FIRST_POLL_MS = 20;
const LONGEST_POLL_MS = 500;

/** Resolves when the server has done the work; rejects when it could not. However long it takes: others' work may come first. */
export async function taskDone(connection: MeiliConnection, uid: number): Promise<void> {
  for (let wait = FIRST_POLL_MS; ; wait = Math.min(2 * wait, LONGEST_POLL_MS)) {
    await pause(wait);
    const { status, error } = await connection.ask('get', Task, { path: `tasks/${uid}` });
    if (status === 'succeeded') return;
    if (status === 'failed' || status === 'canceled') {
      throw new MeiliFailure(`the server could not do what it took on: ${error?.message.slice(0, 500) ?? status}`, error?.code ?? null);
    }
  }
}
