import { outputHookPointOf } from '../domain/dictionary.ts';
import { CallerError } from '../domain/errors.ts';
import type { SteerInput, SteerRun, WrittenText } from '../domain/steer.ts';
import type { CatalogReader, DictionaryRow } from '../ports/CatalogReader.ts';
import type { Generated, Generator, Steering } from '../ports/Generator.ts';
import type { LiveModels } from '../ports/LiveModels.ts';
import type { Tokenizer } from '../ports/Tokenizer.ts';
import type { Turns } from './gate.ts';
import { LIMITS } from './limits.ts';
import { promptIds, tokenTexts } from './prompt.ts';
import { Recent } from './recent.ts';
import { checkSteerInput, steerIds } from './steerInput.ts';

export interface SteerServiceParts {
  readonly reader: Pick<CatalogReader, 'models' | 'dictionaries'>;
  readonly live: Pick<LiveModels, 'open' | 'dictionary' | 'generator' | 'chatTemplate'>;
  readonly codeVersion: string;
  /** Longest a request waits; LIMITS.steerSeconds by default. */
  readonly seconds?: number;
}

export interface SteerService {
  /**
   * Writes a text with features edited, and the one without beside it. Deterministic on one device; the latest results are kept
   * in memory, and equal requests under way run once. What runs takes a turn. Throws CallerError (BAD_INPUT, NOT_FOUND,
   * LIMIT_EXCEEDED, TEXT_TOO_LONG, UNSUPPORTED, MODEL_UNAVAILABLE, BUSY, TIMED_OUT) that names the field.
   */
  steer(input: SteerInput, turns: Turns): Promise<SteerRun>;
}

/** A prompt as the model reads it. */
interface Prompt {
  readonly ids: Int32Array;
  readonly stopIds: readonly number[];
}

export function createSteerService({ reader, live, codeVersion, seconds = LIMITS.steerSeconds }: SteerServiceParts): SteerService {
  const runs = new Recent<SteerRun>(LIMITS.steerKept);
  const plain = new Recent<Generated>(LIMITS.steerKept);

  const run = async (input: SteerInput, rows: readonly DictionaryRow[], ids: { readonly id: string; readonly unsteered: string }): Promise<SteerRun> => {
    const started = performance.now();
    const [{ tokenizer }, generator, dictionaries] = await Promise.all([
      live.open(input.model),
      live.generator(input.model),
      Promise.all(rows.map((row) => live.dictionary(row.model, row.name))),
    ]);
    const prompt = await promptOf(live, input, tokenizer, generator);
    const { maxTokens, temperature, topP, seed } = input;
    const request = { ids: prompt.ids, stopIds: prompt.stopIds, maxTokens, temperature, topP, seed, topLogprobs: 0 };
    const steering: Steering = {
      from: input.steerPrompt ? 0 : prompt.ids.length - 1,
      features: input.features.map(({ feature, operation }, i) => ({ weights: dictionaries[i], index: feature.index, operation })),
    };
    // One after the other: what the first reads of the prompt the others need not read again.
    const unsteered = await plain.get(ids.unsteered, () => generator.generate(request));
    const steered = await generator.generate({ ...request, steering }).catch(asAsked);
    const whole = Int32Array.from([...prompt.ids, ...steered.tokens.map(({ id }) => id)]);
    const judged = await generator.score(whole, prompt.ids.length, 0);
    return {
      id: ids.id,
      input,
      promptTokens: tokenTexts(tokenizer, prompt.ids),
      hookPoints: dictionaries.map(({ config }) => outputHookPointOf(config)),
      steered: written(tokenizer, prompt.ids, steered, judged.map(({ logprob }) => logprob)),
      unsteered: written(tokenizer, prompt.ids, unsteered, unsteered.tokens.map(({ logprob }) => logprob)),
      firstDifference: firstDifference(steered, unsteered),
      weightsHash: generator.info.weightsHash,
      codeVersion,
      milliseconds: performance.now() - started,
    };
  };

  return {
    async steer(input, turns) {
      const models = await reader.models();
      const model = models.find(({ name }) => name === input.model);
      if (model === undefined) {
        const known = models.map(({ name }) => name).join(', ');
        throw new CallerError('NOT_FOUND', `the catalog has no model ${JSON.stringify(input.model)}; ${known === '' ? 'it is empty' : `it has ${known}`}`, { field: ['model'] });
      }
      const rows = checkSteerInput(input, await reader.dictionaries({ model: input.model }));
      const ids = steerIds(model, rows, input);
      return within(seconds, runs.get(ids.id, () => inTurn(turns, seconds, () => run(input, rows, ids))));
    },
  };
}

/** Throws TIMED_OUT where the turn does not come in time: what nobody waits for any more must not keep others waiting. */
async function inTurn<T>(turns: Turns, seconds: number, task: () => Promise<T>): Promise<T> {
  const patience = new AbortController();
  const message = `other model runs took all of ${seconds} s, the most a request may take; nothing was written: ask again`;
  const timer = setTimeout(() => patience.abort(new CallerError('TIMED_OUT', message)), seconds * 1000);
  try {
    return await turns.run(task, { signal: patience.signal });
  } finally {
    clearTimeout(timer);
  }
}

/** Throws TIMED_OUT after that long; what is under way goes on, and is kept. */
async function within<T>(seconds: number, running: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const message = `the texts were not written after ${seconds} s, the most a request may take; they are still being written and kept, so that asking again finds them`;
  const timer = setTimeout(() => late.reject(new CallerError('TIMED_OUT', message)), seconds * 1000);
  try {
    return await Promise.race([running, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Throws BAD_INPUT or TEXT_TOO_LONG unless there is a token and room for one more, UNSUPPORTED for a model without chats. */
async function promptOf(live: SteerServiceParts['live'], { model, prompt, chat }: SteerInput, tokenizer: Tokenizer, { info }: Generator): Promise<Prompt> {
  const most = info.contextLength - 1;
  if (!chat) return { ids: promptIds(tokenizer, most, prompt, 'prompt'), stopIds: tokenizer.eosId === null ? [] : [tokenizer.eosId] };
  const template = await live.chatTemplate(model);
  const ids = Int32Array.from(template.pieces([{ role: 'user', content: prompt }]).flatMap((piece) => [...tokenizer.encode(piece)]));
  if (ids.length > most) throw new CallerError('TEXT_TOO_LONG', `the conversation has ${ids.length} tokens: the model reads at most ${most}; shorten the prompt`, { field: ['prompt'] });
  return { ids, stopIds: template.stopIds };
}

/** The generator's complaints about a steering, under the request's names. */
function asAsked(error: unknown): never {
  if (error instanceof CallerError && error.field?.[0] === 'steering') throw new CallerError(error.code, error.message, { cause: error, field: error.field.slice(1) });
  throw error;
}

function written(tokenizer: Tokenizer, prompt: Int32Array, { tokens, finish }: Generated, unsteered: readonly number[]): WrittenText {
  const ids = tokens.map(({ id }) => id);
  const before = tokenizer.decode(prompt);
  const whole = tokenizer.decode([...prompt, ...ids]);
  return {
    // Decoded alone, a first token may lose its space.
    text: whole.startsWith(before) ? whole.slice(before.length) : tokenizer.decode(ids),
    tokens: tokens.map(({ id, logprob }, i) => ({ id, token: tokenizer.token(id), logProb: logprob, unsteeredLogProb: unsteered[i] })),
    finish,
  };
}

function firstDifference(a: Generated, b: Generated): number | null {
  const length = Math.max(a.tokens.length, b.tokens.length);
  for (let i = 0; i < length; i++) if (a.tokens[i]?.id !== b.tokens[i]?.id) return i;
  return a.finish === b.finish ? null : length;
}
