import { isDeepStrictEqual } from 'node:util';
import { ask } from './measure.ts';
import type { Operation, Subject } from './operations.ts';

const PAGE = 20;

/** Connections become plain lists, intervals their two ends, so that two servers' answers can be compared. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const object = value as Readonly<Record<string, unknown>>;
  if (Array.isArray(object.edges)) return object.edges.map(plain);
  if (Array.isArray(object.nodes)) return object.nodes.map(plain);
  return Object.fromEntries(Object.entries(object).flatMap(([name, inner]) => (name === 'interval' ? Object.entries(inner as object) : [[name, plain(inner)]])));
}

/** Asks both servers the same; throws at the first difference. Returns how many answers were compared. */
export async function compareAnswers(operation: Operation, ours: string, peers: string, subjects: readonly Subject[]): Promise<number> {
  let compared = 0;
  for (const subject of subjects) {
    const [a, b] = await Promise.all([ask(ours, operation.ours(subject)), ask(peers, operation.peers(subject))]).then((answers) => answers.map(plain));
    if (operation.ranked === true) {
      const [foundA, foundB] = [found(a), found(b)];
      // Of more than a page the servers may show different ones.
      if (foundA.length >= PAGE && foundB.length >= PAGE) continue;
      // Words that nothing holds: ours answers with similar ones.
      if (foundB.length === 0) continue;
      assertEqual(foundA, foundB, operation, subject);
    } else {
      assertEqual(a, b, operation, subject);
    }
    compared++;
  }
  return compared;
}

function found(answer: unknown): readonly string[] {
  return (answer as { found: readonly unknown[] }).found.map((row) => JSON.stringify(row)).toSorted();
}

function assertEqual(a: unknown, b: unknown, { name }: Operation, subject: Subject): void {
  if (isDeepStrictEqual(a, b)) return;
  const [left, right] = [JSON.stringify(a), JSON.stringify(b)];
  const at = Math.max(0, Array.from(left).findIndex((letter, i) => letter !== right[i]) - 60);
  throw new Error(`${name}: answers differ for ${subject.dictionary.name}/${subject.index} "${subject.words}"\n  ours ${left.slice(at, at + 200)}\n  peer ${right.slice(at, at + 200)}`);
}
