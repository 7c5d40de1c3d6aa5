import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openChatModel } from '../../src/adapters/openai/openaiChat.ts';
import { OutsideError } from '../../src/domain/errors.ts';
import type { LlmMethod } from '../../src/interp/prompts/methods.ts';
import { LLM_METHODS } from '../../src/interp/prompts/methods.ts';
import { splitFragments } from '../../src/interp/split.ts';
import { ATTEMPTS } from '../../src/pipelines/ask/askUntilParsed.ts';
import { llmExplainer } from '../../src/pipelines/llmExplainer.ts';
import type { LlmExplainerInput } from '../../src/pipelines/llmExplainer.ts';
import type { BadReply } from '../../src/ports/BadReplyLog.ts';
import type { ChatModel, ChatRequest } from '../../src/ports/ChatModel.ts';
import type { ExplainTask } from '../../src/ports/Explainer.ts';
import { withOpenaiServer } from '../helpers/openaiServer.ts';
import type { OpenaiServerOptions, ServerStats } from '../helpers/openaiServer.ts';
import { answerExplain, readRule, ruleFires } from '../helpers/readingModel.ts';
import { plantedAnalysis, plantedRows, plantedTokenizer, word } from '../interp/plantedModel.ts';
import type { Rule as PlantedRule } from '../interp/plantedModel.ts';

const NUMBERS = [' 12', ' 7', ' 1999', ' 345'].map(word);
const THE = ['the', ' the', 'The'].map(word);

const PLANTED: readonly { readonly rule: PlantedRule; readonly description: RegExp }[] = [
  { rule: (ids, t) => (ids[t] === word(' book') ? 3 : 0), description: /^the token " book"$/ },
  {
    rule: (ids, t) => (t > 0 && ids[t] === word(' to') && [word(' gave'), word(' handed')].includes(ids[t - 1]) ? 2 : 0),
    description: /^the token " to" after (" handed" or " gave"|" gave" or " handed")$/,
  },
  { rule: (ids, t) => (NUMBERS.includes(ids[t]) ? 1 + ids[t] / 100 : 0), description: /^the tokens (" (12|7|1999|345)"(, | or |$)){4}$/ },
  { rule: (ids, t) => (t > 0 && ids[t - 1] === word(' not') ? 4 : 0), description: /^tokens after " not"$/ },
  { rule: (ids, t) => (THE.includes(ids[t]) ? 1 : 0), description: /^the tokens ("( the|the|The)"(, | or |$)){3}$/ },
];

const analysis = plantedAnalysis(PLANTED.map(({ rule }) => rule), plantedRows(300, 64, 1), 2);
const tasks: ExplainTask[] = analysis.map(({ index, exemplars, topLogits, bottomLogits }) => ({ index, fragments: splitFragments(exemplars).explain, topLogits, bottomLogits }));

/** A chat model in this process that answers by rules. */
function chatOf(reply: (request: ChatRequest) => string): ChatModel & { readonly asked: ChatRequest[] } {
  const asked: ChatRequest[] = [];
  return {
    name: 'rules',
    identity: { place: 'here' },
    abilities: { promptLogprobs: false, replyLogprobs: false },
    asked,
    async chat(request) {
      asked.push(request);
      const text = reply(request);
      return { text, finish: 'stop', tokens: null, usage: { promptTokens: 0, completionTokens: 0, estimated: true } };
    },
    readPrompt: () => Promise.reject(new Error('an explainer reads no prompt')),
    close: () => Promise.resolve(),
  };
}

function explainer(method: LlmMethod, chat: ChatModel, more: Partial<LlmExplainerInput> = {}): { it: ReturnType<typeof llmExplainer>; bad: BadReply[] } {
  const bad: BadReply[] = [];
  const badReplies = { record: async (one: BadReply) => void bad.push(one) };
  return { it: llmExplainer({ method, chat, tokenizer: plantedTokenizer, badReplies, seed: 7, ...more }), bad };
}

/** As much of a request as a model reads, in this process or behind a server. */
type Asked = Pick<ChatRequest, 'messages'>;
const reading = (request: Asked): string => answerExplain(request) ?? 'I cannot read this.';
/** Runs `use` with the openai client and a server on loopback that answers by `reply`. */
async function overHttp(reply: (request: Asked) => string, use: (chat: ChatModel) => Promise<void>, faults?: OpenaiServerOptions['faults']): Promise<ServerStats> {
  return withOpenaiServer({ reply, ...(faults === undefined ? {} : { faults }) }, async (server) => {
    const chat = await openChatModel({
      baseUrl: server.url, apiKey: 'k', model: 'rules', concurrency: 8, timeoutMs: 10_000, maxRetries: 6, backoffMs: 1, abilities: { promptLogprobs: false, replyLogprobs: false },
    }); // prettier-ignore
    await use(chat);
    await chat.close();
    return server.stats();
  });
}

const lastOf = (request: Asked): string => request.messages.at(-1)!.content;

for (const method of LLM_METHODS) {
  test(`${method}: what is planted can be read from the prompt, and holds on held-out text`, async () => {
    const stats = await overHttp(reading, async (chat) => {
      const { it, bad } = explainer(method, chat);
      const attempts = await it.explain(tasks);
      assert.deepEqual(bad, []);
      PLANTED.forEach(({ description }, feature) => {
        const attempt = attempts[feature];
        assert.ok(attempt.kind === 'explained');
        assert.match(attempt.description, description);
        assert.equal(attempt.detail, null);
        const rule = readRule(attempt.description);
        assert.ok(rule !== null);
        const { scoredTop, scoredRandom } = splitFragments(analysis[feature].exemplars);
        for (const { ids, activations } of [...scoredTop, ...scoredRandom]) {
          const texts = ids.map((id) => plantedTokenizer.token(id));
          // What stands before a fragment is not shown: its first token tells nothing about rules that look back.
          const said = texts.map((_, t): boolean => t === 0 || ruleFires(rule, texts, t));
          const truth = activations.map((a, t): boolean => t === 0 || a > 0);
          assert.deepEqual(said, truth);
        }
      });
    });
    assert.equal(stats.arrived, PLANTED.length, 'one request a feature');
  });

  test(`${method}: says what it is and everything its output depends on`, () => {
    const { it } = explainer(method, chatOf(reading), { temperature: 0.5 });
    assert.equal(it.name, `${method}-v1@rules`);
    assert.equal(it.model, 'rules');
    assert.equal(it.promptVersion, `${method}-v1`);
    const { promptHash, ...rest } = it.parameters;
    assert.match(String(promptHash), /^[\da-f]{64}$/u);
    assert.deepEqual(rest, {
      method, promptVersion: `${method}-v1`, chat: { place: 'here' }, temperature: 0.5, topP: 1, maxTokens: 60, attempts: 3, maxFragments: 20, undecodable: 'escape', tokenizer: 'planted', seed: 7,
    }); // prettier-ignore
  });

  test(`${method}: the plan is what is asked, to the byte`, async () => {
    const chat = chatOf(reading);
    const { it } = explainer(method, chat);
    const silent: ExplainTask = { ...tasks[0], index: 99, fragments: tasks[0].fragments.map((f) => ({ ...f, activations: f.activations.map(() => 0) })) };
    const plan = it.plan!([...tasks, silent]);
    assert.equal(chat.asked.length, 0);
    assert.deepEqual((await it.explain([...tasks, silent])).at(-1), { kind: 'failed', index: 99, reason: 'no activation in the explanation fragments' });
    assert.deepEqual(plan, chat.asked.map(({ messages, maxTokens }) => ({ promptBytes: Buffer.byteLength(messages.map(({ content }) => content).join('')), maxTokens, expectedTokens: 25 })));
  });
}

test("asked as Bills et al. did: 60 tokens, temperature 1; seeds are a feature's own, whatever is asked beside it", async () => {
  const all = chatOf(reading);
  await explainer('token-act-pair', all).it.explain(tasks);
  assert.ok(all.asked.every(({ maxTokens, temperature, attempt }) => maxTokens === 60 && temperature === 1 && attempt === 0));
  const seeds = all.asked.map(({ seed }) => seed);
  assert.equal(new Set(seeds).size, tasks.length);
  assert.ok(seeds.every((seed) => Number.isInteger(seed) && seed >= 0 && seed + ATTEMPTS < 2 ** 31));
  const one = chatOf(reading);
  await explainer('token-act-pair', one).it.explain([tasks[3]]);
  assert.deepEqual(one.asked, [all.asked[3]]);
  const other = chatOf(reading);
  await explainer('token-act-pair', other, { seed: 8 }).it.explain([tasks[3]]);
  assert.notEqual(other.asked[0].seed, one.asked[0].seed);
});

test('only as many fragments are shown as allowed; their maximum makes the levels', async () => {
  const chat = chatOf(reading);
  await explainer('token-act-pair', chat, { maxFragments: 2 }).it.explain(tasks.slice(0, 1));
  const shown = lastOf(chat.asked[0]).split('The same fragments')[0];
  assert.equal(shown.match(/^<start>$/gmu)?.length, 2);
  assert.match(shown, /^ book\t10$/mu);
});

const NONSENSE = ['', 'I cannot help with that.', '{"explanation": "books"}', '- a\n- b', '<think>Let me see', '12 7 1999', 'Let me look at the fragments.', 'words about watching planets, comets and the night sky'];

test('100 features whose first replies are nonsense: every one is recorded, asked again and explained; none is stored', async () => {
  const hundred: ExplainTask[] = Array.from({ length: 100 }, (_, index) => {
    const feature = index % PLANTED.length;
    const [found] = plantedAnalysis([PLANTED[feature].rule], plantedRows(12, 64, 100 + index), index);
    return { index, fragments: splitFragments(found.exemplars).explain, topLogits: [], bottomLogits: [] };
  });
  const times = new Map<string, number>();
  let nonsense = 0;
  const bad: BadReply[] = [];
  // The server also goes wrong in the ways of servers: no explanation is lost, no feature is asked without need.
  const stats = await overHttp(
    (request) => {
      const nth = times.get(lastOf(request)) ?? 0;
      times.set(lastOf(request), nth + 1);
      // One bad reply before the good one, or two.
      const before = lastOf(request).length % 2 === 0 ? 1 : 2;
      return nth >= before ? reading(request) : NONSENSE[nonsense++ % NONSENSE.length];
    },
    async (chat) => {
      const asked = explainer('token-act-pair', chat);
      const attempts = await asked.it.explain(hundred);
      bad.push(...asked.bad);
      assert.deepEqual(attempts.map(({ kind, index }) => [kind, index]), hundred.map(({ index }) => ['explained', index]));
      for (const attempt of attempts) assert.ok(attempt.kind === 'explained' && readRule(attempt.description) !== null, JSON.stringify(attempt));
    },
    { seed: 3, rate: 0.2, kinds: ['rate-limit', 'server-error', 'overloaded', 'dropped-before'], retryAfterMs: 1 },
  );
  assert.equal(times.size, 100, 'the prompts differ');
  assert.ok(nonsense >= 100 && nonsense <= 200);
  assert.equal(bad.length, nonsense, 'every bad reply is in the log');
  assert.equal(new Set(bad.map(({ feature, attempt }) => `${feature}/${attempt}`)).size, nonsense);
  assert.ok(bad.every(({ reply, promptVersion, model, reason }) => NONSENSE.includes(reply) && promptVersion === 'token-act-pair-v1' && model === 'rules' && !/\d/u.test(reason)));
  assert.equal([...stats.paid.values()].reduce((sum, n) => sum + n, 0), 100 + nonsense, 'nothing is paid for twice');
  assert.ok(stats.faults.size === 4);
});

test('three bad replies: failed, with the last reason, each attempt another request', async () => {
  const chat = chatOf(({ attempt }) => ['', '{"a": "b"}', 'I cannot say.'][attempt]);
  const { it, bad } = explainer('max-act', chat, { temperature: 0 });
  assert.deepEqual(await it.explain(tasks.slice(2, 3)), [{ kind: 'failed', index: 2, reason: 'the model declined to answer' }]);
  assert.deepEqual(bad.map(({ attempt, reason }) => [attempt, reason]), [
    [0, 'the reply is empty'],
    [1, 'the reply is JSON or markup'],
    [2, 'the model declined to answer'],
  ]);
  assert.equal(new Set(chat.asked.map(({ seed }) => seed)).size, 3);
  assert.deepEqual(chat.asked.map(({ temperature }) => temperature), [0, 0.7, 0.7]);
});

test('when the model cannot be reached nothing more is asked, and that is thrown after everything under way has come to its end', async () => {
  let begun = 0;
  let finished = 0;
  const slow = chatOf(reading);
  const chat: ChatModel = {
    ...slow,
    async chat(request) {
      if (lastOf(request) === first) throw new OutsideError('test', 'no connection');
      begun++;
      await new Promise((resolve) => setImmediate(resolve));
      const reply = await slow.chat(request);
      finished++;
      return reply;
    },
  };
  const probe = chatOf(reading);
  await explainer('max-act', probe).it.explain(tasks.slice(0, 1));
  const first = lastOf(probe.asked[0]);
  const many = [tasks[0], ...Array.from({ length: 999 }, (_, i) => ({ ...tasks[1 + (i % 4)], index: 10 + i }))];
  await assert.rejects(explainer('max-act', chat).it.explain(many), { name: 'OutsideError', message: 'no connection' });
  assert.equal(finished, begun);
  assert.ok(begun > 0 && begun < many.length / 2, `${begun} of ${many.length} were begun`);
});
