import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openChatModel } from '../../src/adapters/openai/openaiChat.ts';
import { CallerError, OutsideError } from '../../src/domain/errors.ts';
import type { Score } from '../../src/domain/feature.ts';
import { meanInterval } from '../../src/interp/meanInterval.ts';
import { splitFragments } from '../../src/interp/split.ts';
import { AT_ONCE } from '../../src/pipelines/ask/askAll.ts';
import { ATTEMPTS } from '../../src/pipelines/ask/askUntilParsed.ts';
import { scoreTask } from '../../src/pipelines/explainFeatures.ts';
import { llmSimulator } from '../../src/pipelines/llmSimulator.ts';
import type { LlmSimulatorInput } from '../../src/pipelines/llmSimulator.ts';
import { openPatternExplainer } from '../../src/pipelines/patternExplainer.ts';
import { patternSimulator } from '../../src/pipelines/patternSimulator.ts';
import { simulationScorer } from '../../src/pipelines/simulationScorer.ts';
import type { BadReply } from '../../src/ports/BadReplyLog.ts';
import type { ChatModel, ReadToken } from '../../src/ports/ChatModel.ts';
import type { ScoreTask, Scorer } from '../../src/ports/Scorer.ts';
import { withOpenaiServer } from '../helpers/openaiServer.ts';
import type { OpenaiServerOptions, ServedReply, ServedRequest } from '../helpers/openaiServer.ts';
import { writeRule } from '../helpers/readingModel.ts';
import type { Rule as Stated } from '../helpers/readingModel.ts';
import { expectsLevel, writesLevels } from '../helpers/simulatingJudge.ts';
import { plantedAnalysis, plantedDictionary, plantedModel, plantedRows, plantedTokenizer, word } from '../interp/plantedModel.ts';
import type { Rule } from '../interp/plantedModel.ts';

const SEED = 5;
const STATED: readonly Stated[] = [
  ...[' Anna', ' Bob', ' gave', ' took', ' to', ' from', ' 12', ' 1999', ' not', ' red', ' blue', ' book', ' cup', ' walking', ' reading', '.', ',', ' house', 'the', ' but'].map((text) => ({ tokens: [text], after: null })),
  { tokens: null, after: [' not'] },
  { tokens: [' to'], after: [' gave', ' handed'] },
  { tokens: null, after: [' 12'] },
  { tokens: [' green', ' garden'], after: null },
];

/** Active where the statement says, with a strength of its own at every place. */
function ruleOf({ tokens, after }: Stated): Rule {
  const [active, context] = [tokens?.map(word), after?.map(word)];
  return (ids, t) => ((active === undefined || active.includes(ids[t])) && (context === undefined || (t > 0 && context.includes(ids[t - 1]))) ? 3 + ((t * 7) % 5) / 5 : 0);
}

const RULES = STATED.map(ruleOf);
const ROWS = plantedRows(60, 64, 1);
const ANALYSIS = plantedAnalysis(RULES, ROWS, 2);
const SPLITS = ANALYSIS.map(({ exemplars }) => splitFragments(exemplars));

/** Tasks with the descriptions of the features `shift` further on: 0 = their own. */
function tasksOf(shift: number, count = STATED.length): ScoreTask[] {
  return Array.from({ length: count }, (_, index) => scoreTask(SPLITS[index], { index, explainer: 'stated', description: writeRule(STATED[(index + shift) % STATED.length]), detail: null }));
}

const JUDGE: OpenaiServerOptions = {
  reply: ({ messages }) => JSON.stringify({ levels: writesLevels(messages) }),
  alternatives: ({ token, before }) => expectsLevel(before) ?? { [token]: 1 },
};

interface Judged {
  readonly input: LlmSimulatorInput;
  readonly bad: readonly BadReply[];
}

async function judged<T>(options: OpenaiServerOptions, instrument: LlmSimulatorInput['instrument'], use: (judged: Judged) => Promise<T>): Promise<T> {
  return withOpenaiServer({ ...JUDGE, ...options }, async (server) => {
    const chat = await openChatModel({ baseUrl: server.url, model: 'rules', backoffMs: 2, timeoutMs: 2000, abilities: { promptLogprobs: true, replyLogprobs: false } });
    const bad: BadReply[] = [];
    try {
      return await use({ input: { chat, tokenizer: plantedTokenizer, instrument, badReplies: { record: async (reply) => void bad.push(reply) }, seed: SEED }, bad });
    } finally {
      await chat.close();
    }
  });
}

async function scoresOf(scorer: Scorer, tasks: readonly ScoreTask[]): Promise<readonly (readonly Score[])[]> {
  return (await scorer.score(tasks)).map((attempt) => {
    assert.equal(attempt.kind, 'scored', attempt.kind === 'failed' ? attempt.reason : '');
    return attempt.kind === 'scored' ? attempt.scores : [];
  });
}

function valuesOf(scores: readonly (readonly Score[])[], scorer: string): number[] {
  return scores.map((of) => {
    const score = of.find((s) => s.scorer === scorer);
    assert.ok(score !== undefined && score.value !== null, `${scorer}: ${score?.undefinedReason}`);
    return score.value;
  });
}

/** Own descriptions must score high, those of other features near 0. */
function separates(own: readonly number[], others: readonly number[], what: string): void {
  const of = meanInterval(others);
  const told = `${what}: own ${Math.min(...own).toFixed(3)} at least, mean ${meanInterval(own).mean!.toFixed(3)}; others ${of.mean!.toFixed(3)} ± ${of.halfWidth!.toFixed(3)} over ${others.length}`;
  assert.ok(own.length >= 20 && own.every((value) => value > 0.9), told);
  assert.ok(Math.abs(of.mean!) < 0.1, told);
  console.log(told);
}

for (const instrument of ['logprobs', 'json'] as const) {
  const name = instrument === 'logprobs' ? 'simulation' : 'simulation-json';
  test(`${instrument}: a planted feature's own description scores above 0.9, another's near 0`, () =>
    judged({}, instrument, async ({ input, bad }) => {
      const scorer = simulationScorer(llmSimulator(input), SEED);
      assert.deepEqual([scorer.name, scorer.judge, scorer.judges('pattern-v1')], [name, 'rules', true]);
      // Two fragments of either kind keep the test short; the pattern's test below has all.
      const few = (shift: number): ScoreTask[] => tasksOf(shift).map((task) => ({ ...task, top: task.top.slice(0, 2), random: task.random.slice(0, 2) }));
      const own = await scoresOf(scorer, few(0));
      const others = await scoresOf(scorer, few(7));
      separates(valuesOf(own, `${name}-top-random`), valuesOf(others, `${name}-top-random`), instrument);
      assert.equal(bad.length, 0);
      const [first] = own[0];
      assert.deepEqual([first.judge, first.promptVersion, first.n, first.fragments.length], ['rules', scorer.promptVersion, 256, 4]);
      assert.ok(first.low! <= first.value! && first.value! <= first.high!);
    }));
}

test('pattern: a planted feature’s own pattern scores above 0.9, another’s near 0', async () => {
  const explainer = await openPatternExplainer({ model: plantedModel(RULES), tokenizer: plantedTokenizer, dictionary: plantedDictionary(RULES), background: ROWS[0], seed: SEED });
  const attempts = await explainer.explain(ANALYSIS.map(({ index, topLogits, bottomLogits }) => ({ index, fragments: SPLITS[index].explain, topLogits, bottomLogits })));
  const details = attempts.map((attempt) => (attempt.kind === 'explained' ? attempt.detail : null));
  const shifted = (shift: number): ScoreTask[] => tasksOf(0).map((task, i) => ({ ...task, explainer: explainer.name, detail: details[(i + shift) % details.length] }));
  const scorer = simulationScorer(patternSimulator, SEED);
  assert.equal(scorer.plan, undefined);
  const others = (await scoresOf(scorer, shifted(7))).map((of) => of[0]);
  // A pattern that matches nothing predicts a constant: that is no correlation, and is said.
  assert.ok(others.every(({ value, undefinedReason }) => value !== null || undefinedReason === 'simulated activations are constant'));
  separates(valuesOf(await scoresOf(scorer, shifted(0)), 'simulation-top-random'), others.flatMap(({ value }) => (value === null ? [] : [value])), 'pattern');
});

test('calibrated on text of its own, values are right too', () =>
  judged({}, 'logprobs', async ({ input }) => {
    const scorer = simulationScorer(llmSimulator(input), SEED, { calibrate: true });
    const scores = await scoresOf(scorer, tasksOf(0, 4));
    assert.deepEqual([scores[0][0].n, scores[0][0].fragments.length, scores[0][1].fragments.length], [640, 10, 5]);
    assert.deepEqual(scores[0].map((s) => s.scorer), ['top-random', 'top', 'random', 'rsquared', 'absdev', 'linear-rsquared', 'linear-absdev', 'percentile-top-random', 'percentile-rsquared', 'percentile-absdev'].map((s) => `simulation-${s}`));
    for (const kind of ['linear-rsquared', 'linear-absdev', 'percentile-rsquared'] as const) assert.ok(valuesOf(scores, `simulation-${kind}`).every((value) => value > 0.8), kind);
    assert.ok(valuesOf(scores, 'simulation-rsquared').every((value) => value < 0.5), 'before calibration levels are no activations');
    // Every fragment is one request, and the levels are asked for once.
    assert.equal(scorer.plan!(tasksOf(0, 4)).length, SPLITS.slice(0, 4).reduce((sum, s) => sum + s.scoredTop.length + s.scoredRandom.length + s.calibration.length, 0));
  }));

for (const instrument of ['logprobs', 'json'] as const) {
  test(`${instrument}: what is sent does not depend on the true activations, and is what was planned`, async () => {
    const sent = async (tasks: readonly ScoreTask[]): Promise<string[]> => {
      const bodies: string[] = [];
      const note = ({ prompt, messages }: ServedRequest): void => void bodies.push(messages.length > 0 ? JSON.stringify(messages) : prompt);
      await judged({
        reply: (request) => (note(request), JSON.stringify({ levels: request.messages.length > 0 ? writesLevels(request.messages) : [] })),
        alternatives: ({ token, before, request }) => ((before === '' && request.path === 'completions') ? note(request) : undefined, expectsLevel(before) ?? { [token]: 1 }),
      }, instrument, async ({ input }) => {
        const scorer = simulationScorer(llmSimulator(input), SEED);
        await scorer.score(tasks);
        const planned = scorer.plan!(tasks);
        const longest = Math.max(...planned.map((p) => p.promptBytes));
        assert.ok(bodies.length >= planned.length && bodies.every((body) => Buffer.byteLength(body) < 1.5 * longest));
      }); // prettier-ignore
      return [...new Set(bodies)].sort();
    };
    const tasks = tasksOf(0, 2);
    const other = tasks.map((task) => {
      const lie = (e: ScoreTask['top'][number]): ScoreTask['top'][number] => ({ ...e, activations: e.activations.map((a, i) => (i % 3) - a), maxActivation: 99 });
      return { ...task, top: task.top.map(lie), random: task.random.map(lie), calibration: task.calibration.map(lie), active: task.active.map(lie) };
    });
    assert.deepEqual(await sent(other), await sent(tasks));
  });
}

test('a server that goes wrong in every way changes no score', async () => {
  const run = (faults: OpenaiServerOptions['faults']): Promise<unknown> =>
    judged(faults === undefined ? {} : { faults }, 'logprobs', async ({ input, bad }) => {
      const scores = await scoresOf(simulationScorer(llmSimulator(input), SEED), tasksOf(3, 3));
      assert.equal(bad.length, 0);
      return scores;
    });
  assert.deepEqual(await run({ seed: 9, rate: 0.4, kinds: ['rate-limit', 'server-error', 'dropped-before', 'dropped-after', 'cut-body', 'truncated-json', 'empty-choices', 'missing-usage'] }), await run(undefined));
});

/** What a judge may write instead of the levels asked for, by the reason it is refused for. */
const NONSENSE: Readonly<Record<string, (good: string) => string | ServedReply>> = {
  'JSON that is cut off or broken': (good) => good.slice(0, good.length / 2).replace(/\}[^}]*$/, '}, {"token'),
  'no JSON': () => 'I would rather not.',
  'JSON without a list of levels': () => '{"answer": 3}',
  'fewer levels than tokens': (good) => good.replace(/,\{[^}]*\}\]/, ']'),
  'more levels than tokens': (good) => good.replace(']}', ',{"token":".","level":0}]}'),
  'a level that is no whole number from zero to ten': (good) => good.replace(/"level":\d+/, '"level":11'),
  'an entry without token and level': (good) => good.replace('"level"', '"value"'),
  'levels of other tokens than those asked about': (good) => {
    const { levels } = JSON.parse(good) as { levels: { token: string; level: number }[] };
    return JSON.stringify({ levels: [...levels.slice(1), levels[0]].map(({ token }, i) => ({ token, level: levels[i].level })) });
  },
  'cut off at its greatest length': (good) => ({ text: good, finish: 'length' }),
  'the model declined to answer': () => ({ text: '', refusal: 'No.' }),
};

for (const [reason, spoil] of Object.entries(NONSENSE)) {
  test(`json: "${reason}" is recorded and asked again; a judge that never makes sense gives no score`, async () => {
    const good = (request: ServedRequest): string => JSON.stringify({ levels: writesLevels(request.messages) });
    // At temperature 0 it is the first time of asking.
    await judged({ reply: (request) => (request.temperature === 0 ? spoil(good(request)) : good(request)) }, 'json', async ({ input, bad }) => {
      const [task] = tasksOf(0, 1);
      const [value] = valuesOf(await scoresOf(simulationScorer(llmSimulator(input), SEED), [task]), 'simulation-json-top-random');
      assert.ok(value > 0.9);
      assert.deepEqual([...new Set(bad.map((b) => b.reason))], [reason]);
      assert.equal(bad.length, 10);
      assert.ok(bad.every((b) => b.feature === 0 && b.attempt === 0 && b.promptVersion === 'simulate-json-v1' && b.model === 'rules'));
    });
    await judged({ reply: (request) => spoil(good(request)) }, 'json', async ({ input, bad }) => {
      const [task] = tasksOf(0, 1);
      const attempts = await simulationScorer(llmSimulator(input), SEED).score([{ ...task, index: 17, top: task.top.slice(0, 1), random: [] }]);
      assert.deepEqual(attempts, [{ kind: 'failed', index: 17, reason }]);
      assert.equal(bad.length, ATTEMPTS);
    });
  });
}

const BESIDE: Readonly<Record<string, Record<string, number>>> = { 9: { 9: 0.5, 7: 0.25, x: 0.25 }, 0: { 0: 0.8, 2: 0.2 } };

test('json: where the reply comes with alternatives, the expected level counts', () =>
  judged({ alternatives: ({ token }) => BESIDE[token] ?? { [token]: 1 } }, 'json', async ({ input }) => {
    const chat = { ...input.chat, abilities: { promptLogprobs: false, replyLogprobs: true } };
    const ids = ['the', ' book', ' book', ' 12'].map(word);
    const values = await llmSimulator({ ...input, chat }).simulate({ index: 0, description: 'the token " book"', detail: null }, [ids]);
    assert.ok(Array.isArray(values));
    const [low, high] = [0.4, (9 * 0.5 + 7 * 0.25) / 0.75];
    assert.deepEqual(Array.from(values[0] as Float32Array), Array.from(Float32Array.of(low, high, high, low)));
  }));

/** A judge in this process that reads prompts in tokens of its own: pieces that match `cut`. */
function readingJudge(cut: RegExp, top: number, prefix = ''): ChatModel & { readonly read: string[] } {
  const read: string[] = [];
  return {
    name: 'reader',
    identity: {},
    abilities: { promptLogprobs: true, replyLogprobs: false },
    read,
    chat: () => Promise.reject(new Error('not asked for')),
    async readPrompt({ messages, continuation }) {
      read.push(continuation);
      const before = messages.map(({ content }) => `${content}\n\n`).join('');
      const tokens = [...continuation.matchAll(cut)].map(({ 0: text, index }): ReadToken => {
        const place = before + continuation.slice(0, index) + (text.startsWith(prefix) ? prefix : '');
        const expects = Object.entries(expectsLevel(place, top) ?? { [text]: 1 });
        return { text, offset: index, logprob: 0, top: expects.map(([level, p]) => ({ text: `${text.startsWith(prefix) ? prefix : ''}${level}`, logprob: Math.log(p) })) };
      });
      return { tokens, usage: { promptTokens: 0, completionTokens: 0, estimated: true } };
    },
    close: () => Promise.resolve(),
  };
}

test('judges that write numbers digit by digit are asked for levels up to 9, on the same scale', async () => {
  const tasks = tasksOf(0, 3);
  const badReplies = { record: () => Promise.reject(new Error('nothing is bad')) };
  const input = { tokenizer: plantedTokenizer, instrument: 'logprobs' as const, badReplies, seed: SEED };
  const whole = readingJudge(/ ?\p{L}+| ?\d+|\s|[^]/gu, 10);
  const digits = readingJudge(/ ?\p{L}+|\d|\s|[^]/gu, 9);
  const folded = readingJudge(/\tunknown| ?\p{L}+|\d|\s|[^]/gu, 9, '\t');
  const simulators = [whole, digits, folded].map((chat) => llmSimulator({ ...input, chat }));
  const values = await Promise.all(simulators.map(async (simulator) => valuesOf(await scoresOf(simulationScorer(simulator, SEED), tasks), 'simulation-top-random')));
  for (const of of values) of.forEach((value, i) => assert.ok(Math.abs(value - values[0][i]) < 1e-6));
  assert.deepEqual(simulators.map(({ counts }) => counts), [0, 1, 2].map(() => ({ tokens: 3 * 640, folded: 0, unread: 0 })));
  // 30 fragments and one look at how numbers are written.
  assert.deepEqual([whole, digits, folded].map(({ read }) => read.length), [31, 31, 31]);
  const first = await simulators[1].simulate({ index: 0, description: 'the token " Anna"', detail: null }, [[word(' Anna'), word(' cup')]]);
  assert.ok(Array.isArray(first));
  const levels = Array.from(first[0] as Float32Array);
  assert.ok(levels[0] > 8 && levels[1] < 1, `${levels}`);
});

test('a reading without levels fails with its reason, recorded once; a judge that reads no prompts is refused at once', async () => {
  const bad: BadReply[] = [];
  const chat: ChatModel = { ...readingJudge(/ ?\p{L}+|\s|[^]/gu, 10), readPrompt: async ({ continuation }) => ({ tokens: [...continuation].map((text, offset) => ({ text, offset, logprob: 0, top: [] })), usage: { promptTokens: 0, completionTokens: 0, estimated: true } }) };
  const input = { chat, tokenizer: plantedTokenizer, instrument: 'logprobs' as const, badReplies: { record: async (b: BadReply) => void bad.push(b) }, seed: SEED };
  const [task] = tasksOf(0, 1);
  assert.deepEqual(await simulationScorer(llmSimulator(input), SEED).score([{ ...task, top: task.top.slice(0, 1), random: [] }]), [{ kind: 'failed', index: 0, reason: 'hardly any level among the alternatives' }]);
  assert.deepEqual(bad.map((b) => [b.promptVersion, b.attempt]), [['simulate-all-at-once-v1', 0]]);
  const blind = { ...chat, abilities: { promptLogprobs: false, replyLogprobs: true } };
  assert.throws(() => llmSimulator({ ...input, chat: blind }), (error: unknown) => error instanceof CallerError && error.code === 'UNSUPPORTED');
});

/** A judge in this process that writes what `reply` gives; `open` counts requests under way. */
function writingJudge(reply: (request: number) => Promise<string>): ChatModel & { readonly asked: number; readonly open: number } {
  let [asked, open] = [0, 0];
  return {
    name: 'writer',
    identity: {},
    abilities: { promptLogprobs: false, replyLogprobs: false },
    get asked() {
      return asked;
    },
    get open() {
      return open;
    },
    async chat() {
      open++;
      try {
        return { text: await reply(asked++), finish: 'stop', tokens: null, usage: { promptTokens: 0, completionTokens: 0, estimated: true } };
      } finally {
        open--;
      }
    },
    readPrompt: () => Promise.reject(new Error('not asked for')),
    close: () => Promise.resolve(),
  };
}

test('when one fragment gets no answer those not yet sent are not sent; when one throws those under way are awaited', async () => {
  const input = { tokenizer: plantedTokenizer, instrument: 'json' as const, badReplies: { record: () => Promise.resolve() }, seed: SEED };
  const [task] = tasksOf(0, 1);
  assert.equal(task.top.length + task.random.length, 10);
  const senseless = writingJudge(() => Promise.resolve('no'));
  assert.deepEqual(await simulationScorer(llmSimulator({ ...input, chat: senseless }), SEED).score([task]), [{ kind: 'failed', index: 0, reason: 'no JSON' }]);
  assert.equal(senseless.asked, AT_ONCE * ATTEMPTS);
  const broken = writingJudge(async (request) => {
    if (request === 1) throw new OutsideError('judge', 'gone');
    await new Promise(setImmediate);
    return 'no';
  });
  await assert.rejects(simulationScorer(llmSimulator({ ...input, chat: broken }), SEED).score([task, { ...task, index: 1 }]), OutsideError);
  assert.equal(broken.open, 0);
});
