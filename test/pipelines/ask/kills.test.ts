import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { Rng } from '../../../src/math/rng.ts';
import type { BudgetTotals } from '../../../src/pipelines/ask/budget.ts';
import { withOpenaiServer } from '../../helpers/openaiServer.ts';
import { withFolder } from '../../helpers/withFolder.ts';

const COUNT = 150;
const KILLS = 5;

/** Runs askInChild until it ends, or is killed at once when it has said `killAfter` answers; what it said. */
async function run(url: string, folder: string, killAfter: number): Promise<{ readonly lines: readonly string[]; readonly killed: boolean }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'askInChild.ts'), folder, String(COUNT)], { env: { ...process.env, OPENAI_BASE_URL: url }, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    if (output.split('\n').length > killAfter) child.kill('SIGKILL');
  });
  const [code] = (await once(child, 'close')) as [number | null];
  assert.ok(code === 0 || child.signalCode === 'SIGKILL', 'the child fails only by being killed');
  return { lines: output.split('\n').slice(0, -1), killed: child.signalCode === 'SIGKILL' };
}

test('killed again and again, a run resumes without asking what was answered, and its budget knows all that was paid', async () => {
  await withFolder(async (folder) => {
    const rng = new Rng(8);
    /** Answers each question got. */
    const served = new Map<string, number>();
    const reply = ({ prompt }: { readonly prompt: string }): string => {
      served.set(prompt, (served.get(prompt) ?? 0) + 1);
      return `answer to ${prompt.replace('question ', '')}`;
    };
    const faults = { seed: 4, rate: 0.2, kinds: ['server-error', 'rate-limit'] as const };
    await withOpenaiServer({ reply, faults, latencyMs: 2 }, async (server) => {
      const stored = new Map<number, number>();
      let kills = 0;
      for (let round = 0; ; round++) {
        const before = new Map(served);
        const { lines, killed } = await run(server.url, folder, round < KILLS ? 1 + stored.size + rng.int(20) : Infinity);
        for (const i of stored.keys()) assert.equal(served.get(`question ${i}`), before.get(`question ${i}`), `question ${i} was answered and asked again`);
        for (const line of lines.filter((said) => !said.startsWith('totals'))) {
          const match = /^(\d+) answer to (\d+)$/.exec(line);
          assert.ok(match !== null && match[1] === match[2], line);
          stored.set(Number(match[1]), round);
        }
        if (killed) {
          kills++;
          continue;
        }
        const totals = JSON.parse(lines.at(-1)!.slice('totals '.length)) as BudgetTotals;
        const { tokens, paid } = server.stats();
        const spent = tokens.paid.prompt + tokens.paid.completion + tokens.lost.prompt + tokens.lost.completion;
        // The probes at opening are not the budget's.
        const probes = 40;
        assert.ok(totals.promptTokens + totals.completionTokens >= spent - probes, 'the budget counts at least what the server did');
        const sum = (counts: ReadonlyMap<string, number>): number => [...counts.values()].reduce((a, b) => a + b, 0);
        // 16 reservations can be open at a kill, of at most 110 tokens.
        assert.ok(totals.lost <= 16 * kills, `${totals.lost} requests count as lost`);
        // Delivered twice: at most what was under way at a kill.
        assert.ok(sum(paid) <= COUNT + 2 + 8 * kills, `${sum(paid)} answers for ${COUNT} questions`);
        break;
      }
      assert.equal(stored.size, COUNT);
      assert.equal(kills, KILLS);
    });
  });
});
