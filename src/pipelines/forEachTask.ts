import type { ScoreAttempt, ScoreTask } from '../ports/Scorer.ts';
import { boundedParallel } from './boundedParallel.ts';

/** One attempt per task, in order, all at once (the model asked has its own bound); those under way are awaited when one fails. */
export async function forEachTask(tasks: readonly ScoreTask[], score: (task: ScoreTask) => Promise<ScoreAttempt>): Promise<readonly ScoreAttempt[]> {
  const attempts: ScoreAttempt[] = [];
  await boundedParallel(tasks.length, tasks.length, async (i) => {
    attempts[i] = await score(tasks[i]);
  });
  return attempts;
}
