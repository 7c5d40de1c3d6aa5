import assert from 'node:assert/strict';
import { test } from 'node:test';
import { klDivergence, logSoftmax } from '../../src/causal/divergence.ts';
import { klCotangent, klToTarget } from '../../src/causal/klToTarget.ts';
import { attributionOrder, thresholdPass, thresholds, type PatchTrials } from '../../src/causal/thresholdOrdering.ts';
import { Rng } from '../../src/math/rng.ts';

/** A set whose KL is the sum of what the units out of it are worth. */
class Worths implements PatchTrials {
  readonly worths: readonly number[];
  readonly out = new Set<number>();
  #tried = -1;

  constructor(worths: readonly number[]) {
    this.worths = worths;
  }

  get kl(): number {
    return this.out.values().reduce((sum, unit) => sum + this.worths[unit], 0);
  }

  without(unit: number): Promise<number> {
    this.#tried = unit;
    return Promise.resolve(this.kl + this.worths[unit]);
  }

  takeOut(unit: number): void {
    assert.equal(unit, this.#tried, 'only what was just tried leaves');
    this.out.add(unit);
  }
}

test('a unit leaves in the first pass whose threshold is above what it is worth, so the essential ones stay longest', async () => {
  const worths = [0.3, -0.1, 3e-5, 0.02, 0, 1.5, 0.02];
  for (const seed of [1, 2, 3]) {
    const set = new Worths(worths);
    let members: readonly number[] = worths.map((_, i) => i);
    for (const [i, tau] of thresholds(50).entries()) {
      const stayed: number[] = await thresholdPass(set, members, tau, Rng.derive(seed, i));
      assert.deepEqual(stayed, members.filter((unit) => worths[unit] >= tau - 1e-12), `tau ${tau}`);
      members = stayed;
    }
    assert.deepEqual(members, [5]);
  }
});

test('the KL left behind is compared with the last set, not with the first', async () => {
  // Two units that stand in for each other: either may leave, then the other is worth everything.
  for (const seed of [1, 2, 3, 4]) {
    const out = new Set<number>();
    const klOf = (gone: ReadonlySet<number>): number => (gone.has(0) && gone.has(1) ? 1 : 0);
    const set: PatchTrials = { get kl() { return klOf(out); }, without: (unit) => Promise.resolve(klOf(new Set([...out, unit]))), takeOut: (unit) => void out.add(unit) }; // prettier-ignore
    assert.equal((await thresholdPass(set, [0, 1], 0.5, new Rng(seed))).length, 1);
  }
});

test('thresholds are those of the paper', () => {
  const taus = thresholds(50);
  assert.equal(taus.length, 50);
  assert.ok(Math.abs(taus[0] - 1e-5) < 1e-18 && taus[49] === 1);
  for (let i = 1; i < 50; i++) assert.ok(Math.abs(taus[i] / taus[i - 1] - 10 ** (5 / 49)) < 1e-9);
});

test('attribution puts what lowers the KL most first, equal ones by number', () => {
  assert.deepEqual(attributionOrder([0, 1, 2, 4], Float64Array.of(0.1, -2, -3, -9, -2)), [2, 1, 4, 0]);
});

test('KL from logits is that of the distributions, and its derivative that of differences', () => {
  const rng = new Rng(7);
  const size = 9;
  const random = (scale: number): Float32Array => Float32Array.from({ length: size + 2 }, () => scale * rng.normal());
  for (const scale of [1, 30]) {
    const logits = random(scale);
    const target = logSoftmax(random(scale), 1, size);
    const kl = klDivergence(logSoftmax(logits, 2, size), target);
    assert.ok(Math.abs(klToTarget(logits, 2, target) - kl) < 1e-9 * Math.max(1, kl));
    if (scale > 1) continue;
    const found = new Float32Array(size);
    klCotangent(logits, 2, target, found, 0);
    for (let i = 0; i < size; i++) {
      const at = (step: number): number => klDivergence(logSoftmax(logits.map((z, j) => (j === i + 2 ? z + step : z)), 2, size), target);
      const step = 2 ** -8;
      const slope = (at(step) - at(-step)) / (2 * step);
      assert.ok(Math.abs(found[i] - slope) < 1e-4, `${i}: ${found[i]} for ${slope}`);
    }
  }
  const same = random(1);
  assert.ok(klToTarget(same, 0, logSoftmax(same, 0, size)) < 1e-12);
});
