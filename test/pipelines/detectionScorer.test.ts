import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openChatModel } from '../../src/adapters/openai/openaiChat.ts';
import type { Score } from '../../src/domain/feature.ts';
import { overlaps, refOf, splitFragments } from '../../src/interp/split.ts';
import { NO_PROBABILITIES } from '../../src/interp/windowScores.ts';
import { Rng } from '../../src/math/rng.ts';
import { AT_ONCE } from '../../src/pipelines/ask/askAll.ts';
import { ATTEMPTS } from '../../src/pipelines/ask/askUntilParsed.ts';
import { detectionScorer } from '../../src/pipelines/detectionScorer.ts';
import type { DetectionSettings } from '../../src/pipelines/detectionScorer.ts';
import { WINDOW_DEFAULTS, heldOutWindows } from '../../src/pipelines/heldOutWindows.ts';
import { openSilentWindows } from '../../src/pipelines/silentWindows.ts';
import type { BadReply } from '../../src/ports/BadReplyLog.ts';
import type { ChatModel } from '../../src/ports/ChatModel.ts';
import type { ScoreAttempt, ScoreTask } from '../../src/ports/Scorer.ts';
import type { FaultPlan } from '../helpers/openaiFaults.ts';
import { withOpenaiServer } from '../helpers/openaiServer.ts';
import type { OpenaiServerOptions, ServerStats } from '../helpers/openaiServer.ts';
import { judgeReply, plantedJudge } from '../interp/plantedJudge.ts';
import { plantedAnalysis, plantedDictionary, plantedModel, plantedRows, plantedTokenizer, word } from '../interp/plantedModel.ts';
import type { Rule } from '../interp/plantedModel.ts';

const WORDS = [' cup', ' ball', ' ran', ' singing', ' house', ' garden', ' green', ' blue'];
const rows = plantedRows(300, 128, 1);
/** Words that fire more or less strongly by what stands before, then one feature that is active nearly everywhere and one that hardly is. */
const rules: readonly Rule[] = [
  ...WORDS.map((text): Rule => (ids, t) => (ids[t] === word(text) ? 1 + (t === 0 ? 0 : ids[t - 1] / 10) : 0)),
  (ids, t) => (ids[t] % 5 === 0 ? 1 : 0),
  (ids, t) => (t === 64 && ids[t] === word(' red') ? 1 : 0),
];
const [DENSE, RARE] = [WORDS.length, WORDS.length + 1];
const analysis = plantedAnalysis(rules, rows, 2);
const fragments = analysis.flatMap(({ exemplars }) => exemplars.filter(({ kind }) => kind === 'random'));
const silent = await openSilentWindows({ model: plantedModel(rules), dictionary: plantedDictionary(rules), fragments, length: 32 });

function taskOf(index: number, description: string): ScoreTask {
  const { explain, scoredTop, scoredRandom, calibration, active } = splitFragments(analysis[index].exemplars);
  return { index, explainer: 'someone', description, detail: null, top: scoredTop, random: scoredRandom, calibration, active, explained: explain.map(refOf) };
}
const right = WORDS.map((text, i) => taskOf(i, `the word "${text}"`));
const shuffled = WORDS.map((_, i) => taskOf(i, `the word "${WORDS[(i + 3) % WORDS.length]}"`));

function scorerOf(kind: 'detection' | 'fuzzing', chat: ChatModel, settings?: Partial<DetectionSettings>, seed = 5, bad: BadReply[] = []): ReturnType<typeof detectionScorer> {
  const badReplies = { record: (reply: BadReply) => Promise.resolve(void bad.push(reply)) };
  return detectionScorer({ kind, chat, tokenizer: plantedTokenizer, silent, badReplies, seed, ...(settings === undefined ? {} : { settings }) });
}
function scoresOf(attempts: readonly ScoreAttempt[]): (readonly Score[])[] {
  return attempts.map((attempt) => (attempt.kind === 'scored' ? attempt.scores : assert.fail(attempt.reason)));
}
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** Uses a judge behind the real client and a server on loopback. */
async function overHttp(options: OpenaiServerOptions, replyLogprobs: boolean, use: (judge: ChatModel) => Promise<void>): Promise<ServerStats> {
  return withOpenaiServer({ reply: ({ messages }) => judgeReply(messages), ...options }, async (server) => {
    const judge = await openChatModel({
      baseUrl: server.url, apiKey: 'k', model: 'rules', concurrency: 8, timeoutMs: 10_000, maxRetries: 6, backoffMs: 1, abilities: { promptLogprobs: false, replyLogprobs },
    }); // prettier-ignore
    await use(judge);
    await judge.close();
    return server.stats();
  });
}

/** A digit of the reply has 0.9, its opposite 0.1. */
const confident: OpenaiServerOptions['alternatives'] = ({ token }) => (/^[01]$/.test(token) ? { [token]: 0.9, [1 - Number(token)]: 0.1 } : { [token]: 1 });
/** Faults that need no waiting. */
const FAULTS: FaultPlan = { seed: 4, rate: 0.2, retryAfterMs: 1, kinds: ['dropped-before', 'rate-limit', 'server-error', 'dropped-after', 'cut-body', 'truncated-json', 'not-json', 'empty-choices', 'missing-usage'] };

for (const kind of ['detection', 'fuzzing'] as const) {
  for (const windowsPerPrompt of [5, 1]) {
    test(`${kind}, ${windowsPerPrompt} a prompt: the right explanation scores near 1, another feature's near chance`, async () => {
      // Hundreds of requests of one excerpt each need no server to tell the same.
      const asked = (use: (judge: ChatModel) => Promise<void>): Promise<unknown> => (windowsPerPrompt === 1 ? use(plantedJudge({ logprobs: true })) : overHttp({ alternatives: confident }, true, use));
      await asked(async (judge) => {
        const scorer = scorerOf(kind, judge, { windowsPerPrompt });
        for (const [accuracy, f1, auc] of scoresOf(await scorer.score(right))) {
          // Two of hundreds of random marks may hit the word; no silent window holds it.
          for (const { value, low, high, undefinedReason } of [accuracy, f1, auc]) assert.ok(value !== null && value > 0.97 && undefinedReason === null && low! <= value && value <= high!, JSON.stringify([value, low, high]));
          assert.equal(accuracy.promptVersion, windowsPerPrompt === 1 ? `${kind}-one-v1` : `${kind}-v1`);
          assert.equal(accuracy.judge, 'rules');
          assert.equal(accuracy.n, accuracy.fragments.length);
          assert.ok(accuracy.n >= 40);
        }
        const wrong = scoresOf(await scorer.score(shuffled));
        const accuracies = wrong.map(([{ value }]) => value!);
        assert.ok(Math.abs(mean(accuracies) - 0.5) < 0.07, `${accuracies}`);
        assert.ok(wrong.filter(([{ low, high }]) => low! <= 0.5 && 0.5 <= high!).length >= 7, JSON.stringify(wrong.map(([{ low, high }]) => [low, high])));
        assert.ok(Math.abs(mean(wrong.map(([, , { value }]) => value!)) - 0.5) < 0.07);
      });
    });
  }
}

test('a server that goes wrong changes no score', async () => {
  let calm: readonly ScoreAttempt[] = [];
  await overHttp({}, false, async (judge) => void (calm = await scorerOf('detection', judge).score(right)));
  const stats = await overHttp({ faults: FAULTS }, false, async (judge) => assert.deepEqual(await scorerOf('detection', judge).score(right), calm));
  const faults = [...stats.faults.values()].reduce((a, b) => a + b, 0);
  assert.ok(faults > 10, `only ${faults} faults`);
});

for (const windowsPerPrompt of [5, 1]) {
  test(`AUC comes from P(yes) of each label, ${windowsPerPrompt} a prompt`, async () => {
    // A judge of moods: what it believes of an excerpt is its text's own, leaning to the truth.
    const belief = (text: string, feature: number): number => (text.includes(WORDS[feature]) ? 0.3 : 0.1) + 0.6 * Rng.derive(9, text).next();
    const excerpts = (question: string): string[] => [...question.matchAll(/^Excerpt[^:]*: (.*)$/gm)].map(([, text]) => text);
    const beliefs = (question: string): number[] => excerpts(question).map((text) => belief(text, WORDS.findIndex((w) => question.startsWith(`Description: the word "${w}"`))));
    const options: OpenaiServerOptions = {
      reply: ({ messages }) => {
        const labels = beliefs(messages.at(-1)!.content).map((p) => (p > 0.5 ? 1 : 0));
        return windowsPerPrompt === 1 ? String(labels[0]) : JSON.stringify({ labels });
      },
      alternatives: ({ token, before, request }) => {
        if (!/^[01]$/.test(token)) return { [token]: 1 };
        const p = beliefs(request.messages.at(-1)!.content)[(before.match(/[01]/g) ?? []).length];
        return { 1: p * 0.8, 0: (1 - p) * 0.8, yes: 0.2 };
      },
    };
    await overHttp(options, true, async (judge) => {
      for (const [feature, [, , auc]] of scoresOf(await scorerOf('detection', judge, { windowsPerPrompt }).score(right)).entries()) {
        const windows = auc.fragments.map(({ row, start, length }) => {
          const ids = rows[row].subarray(start, start + length);
          return { truth: ids.includes(word(WORDS[feature])), p: belief(plantedTokenizer.decode(ids).replace('<doc>', String.raw`\{new document}`), feature) };
        });
        const pairs = windows.filter(({ truth }) => truth).flatMap((a) => windows.filter(({ truth }) => !truth).map((b) => (a.p > b.p ? 1 : 0)));
        assert.ok(Math.abs(auc.value! - mean(pairs)) < 1e-12, `${auc.value} ${mean(pairs)}`);
        assert.ok(auc.value! < 0.95 && auc.low! < auc.value! && auc.value! < auc.high!);
      }
    });
  });
}

test('a judge that only says yes and no has no AUC', async () => {
  for (const [accuracy, , auc] of scoresOf(await scorerOf('detection', plantedJudge()).score(right))) {
    assert.equal(accuracy.value, 1);
    assert.deepEqual([auc.value, auc.low, auc.high, auc.undefinedReason], [null, null, null, NO_PROBABILITIES]);
  }
});

test('no window shares text with what the explainer read; active windows are active, silent ones silent, equally many', async () => {
  for (const [i, [{ fragments: shown }]] of scoresOf(await scorerOf('fuzzing', plantedJudge()).score(right)).entries()) {
    assert.equal(new Set(shown.map(({ row, start }) => `${row} ${start}`)).size, shown.length);
    assert.ok(!shown.some((ref) => right[i].explained.some((read) => overlaps(ref, read))));
    const active = shown.filter(({ row, start, length }) => Array.from({ length }, (_, t) => rules[i](rows[row], start + t)).some((a) => a > 0));
    assert.equal(active.length * 2, shown.length);
    const early = active.filter((ref) => shown.indexOf(ref) < active.length).length;
    assert.ok(early > 0.25 * active.length && early < 0.75 * active.length, 'they are shuffled');
  }
});

test('in 100 random features no window shares text with what the explainer read', async () => {
  const many: readonly Rule[] = Array.from({ length: 100 }, (_, j) => (ids, t) => (ids[t] === 1 + (j % 35) && (j < 35 || t % 2 === j % 2) ? 1 + Rng.derive(j, t).next() : 0));
  const analyses = plantedAnalysis(many, rows, 7);
  const pool = await openSilentWindows({ model: plantedModel(many), dictionary: plantedDictionary(many), fragments: analyses.slice(0, 12).flatMap(({ exemplars }) => exemplars), length: 32 });
  const scorer = detectionScorer({ kind: 'detection', chat: plantedJudge(), tokenizer: plantedTokenizer, silent: pool, badReplies: { record: () => Promise.resolve() }, seed: 3 });
  const tasks = analyses.map(({ index, exemplars }): ScoreTask => {
    const split = splitFragments(exemplars);
    return { ...taskOf(0, 'anything'), index, top: split.scoredTop, random: split.scoredRandom, active: split.active, explained: split.explain.map(refOf) };
  });
  let windows = 0;
  for (const [i, [{ fragments: shown }]] of scoresOf(await scorer.score(tasks)).entries()) {
    windows += shown.length;
    assert.ok(!shown.some((ref) => tasks[i].explained.some((read) => overlaps(ref, read))));
  }
  assert.ok(windows > 3000, `only ${windows} windows`);
});

test('the same seed asks the same, another seed something else, and the plan says how much', async () => {
  for (const kind of ['detection', 'fuzzing'] as const) {
    const ask = async (seed: number): Promise<string[]> => {
      const judge = plantedJudge();
      await scorerOf(kind, judge, undefined, seed).score(right);
      return judge.asked.map((request) => JSON.stringify(request)).sort();
    };
    const asked = await ask(5);
    assert.deepEqual(await ask(5), asked);
    assert.notDeepEqual(await ask(6), asked);
    const judge = plantedJudge();
    const plan = scorerOf(kind, judge).plan!(right);
    assert.equal(judge.asked.length, 0);
    const sizes = asked.map((text) => {
      const request = JSON.parse(text) as { messages: { content: string }[]; maxTokens: number; temperature: number; schema: unknown };
      assert.equal(request.temperature, 0);
      return `${request.messages.reduce((sum, { content }) => sum + Buffer.byteLength(content), Buffer.byteLength(JSON.stringify(request.schema)))} ${request.maxTokens}`;
    });
    assert.deepEqual(plan.map(({ promptBytes, maxTokens }) => `${promptBytes} ${maxTokens}`).sort(), sizes.sort());
    for (const { expectedTokens, maxTokens } of plan) assert.ok(expectedTokens > 0 && expectedTokens <= maxTokens);
  }
});

test('an answer that makes no sense is recorded and asked again', async () => {
  const bad: BadReply[] = [];
  const judge = plantedJudge({ spoil: ({ attempt }, reply) => (attempt === 0 ? `${reply.slice(0, -3)}` : reply) });
  for (const [{ value }] of scoresOf(await scorerOf('detection', judge, undefined, 5, bad).score(right.slice(0, 2)))) assert.equal(value, 1);
  assert.equal(bad.length, judge.asked.length / 2);
  assert.ok(bad.every(({ reason, promptVersion, attempt }) => reason === 'no list of zeros and ones' && promptVersion === 'detection-v1' && attempt === 0));
});

test('a prompt that never gets an answer fails the feature, with no score on the rest, and the others are scored', async () => {
  const bad: BadReply[] = [];
  let spoiled: string | null = null;
  const judge = plantedJudge({
    spoil: ({ messages }, reply) => {
      const question = messages.at(-1)!.content;
      if (question.includes(`"${WORDS[1]}"`)) spoiled ??= question;
      return question === spoiled ? 'I would rather not say.' : reply;
    },
  });
  const attempts = await scorerOf('detection', judge, undefined, 5, bad).score(right.slice(0, 3));
  assert.deepEqual(attempts.map(({ kind, index }) => [kind, index]), [['scored', 0], ['failed', 1], ['scored', 2]]);
  assert.deepEqual(attempts[1], { kind: 'failed', index: 1, reason: 'no list of zeros and ones' });
  assert.equal(bad.length, 3);
});

test('when one prompt has failed for good, those not yet sent are not sent', async () => {
  const judge = plantedJudge({ spoil: () => 'no' });
  const [attempt] = await scorerOf('detection', judge).score(right.slice(0, 1));
  assert.equal(attempt.kind, 'failed');
  // 12 prompts or more would have been asked, three times each.
  assert.ok(scorerOf('detection', judge).plan!(right.slice(0, 1)).length >= 12);
  assert.equal(judge.asked.length, AT_ONCE * ATTEMPTS);
});

test('as many windows are silent as active, and ten of either are enough', () => {
  const few = (count: number): typeof silent => ({ ...silent, of: (...[feature, wanted, exclude, rng]) => silent.of(feature, Math.min(wanted, count), exclude, rng) });
  assert.deepEqual(heldOutWindows(right[0], few(9), WINDOW_DEFAULTS, 1), { tooFew: 'fewer than 10 windows where it is silent' });
  const enough = heldOutWindows(right[0], few(10), WINDOW_DEFAULTS, 1);
  assert.ok('active' in enough && enough.active.length === 10 && enough.silent.length === 10);
  const strengths = enough.active.map(({ activations }) => Math.max(...activations));
  assert.ok(strengths.every((strength, i) => i === 0 || strength >= strengths[i - 1]), 'one of each band of strength');
});

test('too few windows of either kind: no score, with the reason, and nothing is asked', async () => {
  const judge = plantedJudge();
  const attempts = scoresOf(await scorerOf('detection', judge).score([taskOf(DENSE, 'anything'), taskOf(RARE, 'anything')]));
  for (const [i, reason] of ['fewer than 10 windows where it is silent', 'fewer than 10 held-out windows where it is active'].entries()) {
    assert.deepEqual(attempts[i].map(({ scorer, value, undefinedReason, n }) => [scorer, value, undefinedReason, n]), ['detection-balanced-accuracy', 'detection-f1', 'detection-auc'].map((name) => [name, null, reason, 0]));
  }
  assert.equal(judge.asked.length, 0);
  assert.deepEqual(scorerOf('detection', judge).plan!([taskOf(DENSE, 'anything')]), []);
});

test('settings that make no sense are refused', () => {
  for (const windowsPerPrompt of [0, 1.5, -1]) assert.throws(() => scorerOf('detection', plantedJudge(), { windowsPerPrompt }), { code: 'BAD_INPUT' });
});
