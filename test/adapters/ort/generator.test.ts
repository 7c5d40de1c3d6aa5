import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openGenerator } from '../../../src/adapters/ort/openGenerator.ts';
import type { GeneratorOptions } from '../../../src/adapters/ort/openGenerator.ts';
import { openTokenizer } from '../../../src/adapters/tokenizers/openTokenizer.ts';
import { Rng } from '../../../src/math/rng.ts';
import type { GenerateRequest, Generator, ScoredToken } from '../../../src/ports/Generator.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const FIXTURES = `${ROOT}test/fixtures/generate`;
const STORIES = `${ROOT}../shared/models/stories260k`;

interface Case {
  readonly name: string;
  readonly prompt: readonly number[];
  readonly ids: readonly number[];
  readonly logprobs: readonly number[];
  readonly topIds: readonly (readonly number[])[];
  readonly topLogprobs: readonly (readonly number[])[];
}
const { cases } = JSON.parse(readFileSync(`${FIXTURES}/greedy.json`, 'utf8')) as { cases: Case[] };

const folderOf = (name: string): string => (existsSync(`${FIXTURES}/${name}`) ? `${FIXTURES}/${name}` : `${ROOT}../shared/models/${name}`);
const requestOf = (ids: readonly number[], rest: Partial<GenerateRequest> = {}): GenerateRequest => ({
  ids: Int32Array.from(ids), maxTokens: 1000, temperature: 0, topP: 1, seed: 0, stopIds: [], topLogprobs: 0, ...rest,
});
const idsOf = (tokens: readonly ScoredToken[]): number[] => tokens.map(({ id }) => id);

async function withGenerator(name: string, options: Partial<GeneratorOptions>, use: (generator: Generator) => Promise<void>): Promise<void> {
  const generator = await openGenerator(folderOf(name), { device: 'cpu', threadsPerWorker: 1, ...options });
  try {
    await use(generator);
  } finally {
    await generator.close();
  }
}

function assertScores(tokens: readonly ScoredToken[], { logprobs, topIds, topLogprobs }: Case): void {
  for (const [i, token] of tokens.entries()) {
    assert.ok(Math.abs(token.logprob - logprobs[i]) < 1e-4, `token ${i}: ${token.logprob}, expected ${logprobs[i]}`);
    for (const [k, { id, logprob }] of token.top.entries()) {
      assert.ok(Math.abs(logprob - topLogprobs[i][k]) < 1e-4, `token ${i}, alternative ${k}`);
      // Near ties may come in another order.
      if (Math.abs(topLogprobs[i][k] - (topLogprobs[i][k - 1] ?? 1)) > 1e-3 && Math.abs(topLogprobs[i][k] - (topLogprobs[i][k + 1] ?? 1)) > 1e-3 && k < 4) assert.equal(id, topIds[i][k]);
    }
  }
}

for (const expected of cases) {
  const there = existsSync(`${folderOf(expected.name)}/model.safetensors`);
  describe(`${expected.name}`, { skip: there ? false : `no model folder ${expected.name} here` }, () => {
    test('writes what Hugging Face transformers writes, up to the end of the context', async () => {
      await withGenerator(expected.name, {}, async (generator) => {
        const { tokens, finish } = await generator.generate(requestOf(expected.prompt, { topLogprobs: 5, maxTokens: expected.ids.length }));
        assert.ok(expected.ids.length >= 40);
        assert.deepEqual(idsOf(tokens), expected.ids);
        assert.equal(finish, 'length');
        assertScores(tokens, expected);
      });
    });

    test('scores the same tokens alike when they are given', async () => {
      await withGenerator(expected.name, {}, async (generator) => {
        const whole = Int32Array.from([...expected.prompt, ...expected.ids]);
        const tokens = await generator.score(whole, expected.prompt.length, 5);
        assert.deepEqual(idsOf(tokens), expected.ids);
        assertScores(tokens, expected);
        const last = await generator.score(whole, whole.length - 1, 0);
        assert.equal(last.length, 1);
        assert.ok(Math.abs(last[0].logprob - expected.logprobs.at(-1)!) < 1e-4);
      });
    });
  });
}

test('stories260k tells its story, and its text is its ids', { skip: existsSync(STORIES) ? false : 'no ../shared here' }, async () => {
  await withGenerator('stories260k', {}, async (generator) => {
    const { tokens } = await generator.generate(requestOf([1], { maxTokens: 199 }));
    const tokenizer = await openTokenizer(STORIES);
    const text = tokenizer.decode(idsOf(tokens)).trim();
    assert.ok(
      text.startsWith('Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. She wanted to play with it, but it was too high.'),
      text,
    );
    assert.deepEqual([...tokenizer.encode(text)], idsOf(tokens));
  });
});

/** Requests that share beginnings of several lengths, some sampled. */
function family(count: number, vocab: number, room: number): GenerateRequest[] {
  const rng = new Rng(5);
  const shared = Array.from({ length: 40 }, () => rng.int(vocab));
  return Array.from({ length: count }, (_, i) => {
    const own = Array.from({ length: rng.int(6) }, () => rng.int(vocab));
    const ids = [...shared.slice(0, [1, 17, 39, 40, 40][i % 5]), ...own];
    return requestOf(ids, { maxTokens: 3 + rng.int(room - ids.length - 3), temperature: i % 2, topP: i % 3 === 0 ? 0.9 : 1, seed: i, topLogprobs: 2, stopIds: [7] });
  });
}

/** Whether one row of a matrix product sums alike in every piece depends on the processor's kernels; other tests are for all. */
const EXACT = process.arch === 'x64' ? false : 'bits are compared on x64 only';

for (const name of ['llama-16', 'llama-24', 'neox-32', 'gpt2-8']) {
  test(`${name}: what a request gets does not depend on what ran before it or beside it, to the last bit`, { skip: EXACT }, async () => {
    const requests = family(25, 40, 64);
    const alone: unknown[] = [];
    await withGenerator(name, { reusePrefixes: false }, async (generator) => {
      for (const request of requests) alone.push(await generator.generate(request));
    });
    await withGenerator(name, {}, async (generator) => {
      const together = await Promise.all(requests.map((request) => generator.generate(request)));
      assert.deepEqual(together, alone);
      for (const [i, request] of requests.toReversed().entries()) assert.deepEqual(await generator.generate(request), alone.at(-1 - i));
    });
    await withGenerator(name, { workers: 2, cacheBytes: 1 }, async (generator) => {
      assert.deepEqual(await Promise.all(requests.map((request) => generator.generate(request))), alone);
    });
  });
}

test('sizes the fused operator refuses: the same tokens, log-probabilities to rounding', async () => {
  const requests = family(20, 40, 64);
  const alone: { tokens: readonly ScoredToken[] }[] = [];
  await withGenerator('llama-12', { reusePrefixes: false }, async (generator) => {
    for (const request of requests) alone.push(await generator.generate(request));
  });
  await withGenerator('llama-12', {}, async (generator) => {
    const together = await Promise.all(requests.map((request) => generator.generate(request)));
    for (const [i, { tokens }] of together.entries()) {
      assert.deepEqual(idsOf(tokens), idsOf(alone[i].tokens));
      for (const [t, { logprob }] of tokens.entries()) assert.ok(Math.abs(logprob - alone[i].tokens[t].logprob) < 1e-5);
    }
  });
});

test('a seed fixes what is drawn, and draws follow the probabilities', async () => {
  await withGenerator('llama-16', {}, async (generator) => {
    const draw = async (seed: number, topP = 1): Promise<number> =>
      (await generator.generate(requestOf([3, 1, 4], { maxTokens: 1, temperature: 1, topP, seed }))).tokens[0].id;
    assert.equal(await draw(9), await draw(9));
    const [{ top }] = (await generator.generate(requestOf([3, 1, 4], { maxTokens: 1, topLogprobs: 20 }))).tokens;
    const draws = 2000;
    const counts = new Map<number, number>();
    for (const id of await Promise.all(Array.from({ length: draws }, (_, seed) => draw(seed)))) counts.set(id, (counts.get(id) ?? 0) + 1);
    for (const { id, logprob } of top.slice(0, 5)) {
      const p = Math.exp(logprob);
      const deviation = ((counts.get(id) ?? 0) / draws - p) / Math.sqrt((p * (1 - p)) / draws);
      assert.ok(Math.abs(deviation) < 4, `token ${id}: ${deviation} standard deviations off ${p}`);
    }
    // The nucleus is the shortest beginning of the sorted list that reaches half.
    let mass = 0;
    const nucleus = new Set<number>();
    for (const { id, logprob } of top) {
      if (mass >= 0.5) break;
      nucleus.add(id);
      mass += Math.exp(logprob);
    }
    const drawn = new Set(await Promise.all(Array.from({ length: 300 }, (_, seed) => draw(seed, 0.5))));
    assert.deepEqual(drawn, nucleus);
  });
});

test('stop ids end the reply and are not part of it; tokens are heard as they come', async () => {
  const { prompt, ids } = cases.find(({ name }) => name === 'llama-16')!;
  await withGenerator('llama-16', {}, async (generator) => {
    const stop = ids[20];
    const heard: number[] = [];
    const { tokens, finish } = await generator.generate(requestOf(prompt, { stopIds: [stop] }), ({ id }) => heard.push(id));
    assert.equal(finish, 'stop');
    assert.deepEqual(idsOf(tokens), ids.slice(0, ids.indexOf(stop)));
    assert.deepEqual(heard, idsOf(tokens));
    await assert.rejects(generator.generate(requestOf(prompt, { maxTokens: 5 }), () => { throw new Error('enough'); }), /enough/);
    assert.deepEqual(await generator.generate(requestOf(prompt, { maxTokens: 0 })), { tokens: [], finish: 'length' });
  });
});

test('prompts longer than a piece, and rows longer than the first memory', { skip: existsSync(STORIES) ? false : 'no ../shared here' }, async () => {
  const ids = Array.from({ length: 505 }, (_, i) => 3 + ((i * 7919) % 500));
  const scores: (readonly ScoredToken[])[] = [];
  for (const reusePrefixes of [false, true]) {
    await withGenerator('stories260k', { reusePrefixes }, async (generator) => {
      const [first, , after] = await Promise.all([
        generator.score(Int32Array.from(ids), 1, 3),
        generator.generate(requestOf(ids.slice(0, 258), { maxTokens: 8 })),
        generator.score(Int32Array.from(ids), 258, 3),
      ]);
      assert.deepEqual(first.slice(257), after);
      assert.deepEqual(await generator.score(Int32Array.from(ids), 1, 3), first);
      scores.push(first);
    });
  }
  assert.deepEqual(scores[0], scores[1]);
});

test('the thread that asks stays free while a reply is written', async () => {
  await withGenerator('llama-16', {}, async (generator) => {
    let turns = 0;
    let done = false;
    const count = (): void => void (done || (turns++, setImmediate(count)));
    setImmediate(count);
    await generator.generate(requestOf([1, 2, 3]));
    done = true;
    assert.ok(turns > 20, `${turns} turns of the event loop`);
  });
});

test('requests that cannot be served say why', async () => {
  await withGenerator('llama-16', { contextLength: 30 }, async (generator) => {
    const rejected = (request: Partial<GenerateRequest>, pattern: RegExp) => assert.rejects(generator.generate(requestOf([1], request)), pattern);
    assert.equal(generator.info.contextLength, 30);
    assert.equal((await generator.generate(requestOf([1, 2]))).tokens.length, 28);
    await rejected({ ids: new Int32Array(0) }, /one token at least/);
    await rejected({ ids: new Int32Array(31) }, /at most 30 tokens/);
    await rejected({ ids: Int32Array.of(53) }, /expected 0 to 52, found 53/);
    await rejected({ temperature: -1 }, /temperature/);
    await rejected({ topP: 0 }, /topP/);
    await rejected({ topLogprobs: 21 }, /topLogprobs/);
    await assert.rejects(generator.score(Int32Array.of(1, 2), 0, 0), /from: expected 1 to 2/);
    assert.deepEqual(await generator.score(Int32Array.of(1, 2), 2, 0), []);
  });
  await assert.rejects(openGenerator('/nowhere', { device: 'cpu' }), { code: 'NOT_FOUND' });
});
