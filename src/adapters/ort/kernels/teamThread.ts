import { parentPort, workerData } from 'node:worker_threads';
import { invariant, messageOf } from '../../../domain/errors.ts';
import { followTeam } from './team.ts';
import type { MemberModule, TeamSetup } from './team.ts';

/** A helper thread of a team (team.ts). */

invariant(parentPort !== null, 'teamThread.ts runs as a worker thread');
const port = parentPort;
const { memory, control, setup, module, thread } = workerData as TeamSetup<unknown>;
try {
  const { openMember } = (await import(module)) as MemberModule<unknown>;
  const member = await openMember(memory, setup, thread);
  port.postMessage({});
  await followTeam(control, member, (error) => port.postMessage({ error: messageOf(error) }));
} catch (error) {
  port.postMessage({ error: messageOf(error) });
}
