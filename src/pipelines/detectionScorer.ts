import { CallerError } from '../domain/errors.ts';
import type { FragmentRef } from '../domain/feature.ts';
import { Bootstrap } from '../interp/bootstrap.ts';
import type { TextWindow } from '../interp/detectionWindows.ts';
import { activeMarks, marksToDraw, randomMarks } from '../interp/fuzzMarks.ts';
import { detectionOnePrompt, detectionPrompt } from '../interp/prompts/detection.ts';
import { labelsSchema, readLabels } from '../interp/prompts/detectionReply.ts';
import { fuzzingOnePrompt, fuzzingPrompt } from '../interp/prompts/fuzzing.ts';
import { markedText } from '../interp/prompts/markedText.ts';
import { showFragment } from '../interp/prompts/showFragment.ts';
import { refOf } from '../interp/split.ts';
import { judgedScorers, judgedScores, undefinedScore } from '../interp/windowScores.ts';
import type { JudgingKind } from '../interp/windowScores.ts';
import { Rng } from '../math/rng.ts';
import type { BadReplyLog } from '../ports/BadReplyLog.ts';
import type { ChatModel, ChatRequest } from '../ports/ChatModel.ts';
import type { RequestSize } from '../ports/RequestSize.ts';
import type { ScoreAttempt, Scorer, ScoreTask } from '../ports/Scorer.ts';
import type { Tokenizer } from '../ports/Tokenizer.ts';
import { askAll } from './ask/askAll.ts';
import { askUntilParsed } from './ask/askUntilParsed.ts';
import { forEachTask } from './forEachTask.ts';
import { WINDOW_DEFAULTS, WINDOW_RULES, heldOutWindows } from './heldOutWindows.ts';
import type { WindowSettings } from './heldOutWindows.ts';
import { promptBytes } from './promptBytes.ts';
import type { SilentWindows } from './silentWindows.ts';
import { wordingOf } from './tokenWording.ts';

export interface DetectionSettings extends WindowSettings {
  /** Excerpts judged in one request; with 1 each is answered by a single digit (a prompt version of its own). */
  readonly windowsPerPrompt: number;
}

const DETECTION_DEFAULTS: DetectionSettings = { ...WINDOW_DEFAULTS, windowsPerPrompt: 5 };

/** Alternatives asked for per token of the reply, where the model can give them; delphi reads as many. */
const TOP_LOGPROBS = 5;

export interface DetectionInput {
  readonly kind: JudgingKind;
  readonly chat: ChatModel;
  /** The subject model's. */
  readonly tokenizer: Tokenizer;
  readonly silent: SilentWindows;
  readonly badReplies: BadReplyLog;
  readonly seed: number;
  readonly settings?: Partial<DetectionSettings>;
}

interface Excerpt {
  readonly text: string;
  readonly truth: boolean;
  readonly ref: FragmentRef;
}

/**
 * Has a language model judge windows of held-out text by the description (Paulo et al. 2024, "Automatically interpreting millions
 * of features", section 4; delphi). Detection: windows where the feature is active and where it is silent, shuffled, unmarked: which
 * are which? Fuzzing: the same windows with tokens between « and », the active ones where it is active, random ones where it is
 * silent (fuzzMarks.ts): which are marked rightly?
 *
 * One prompt that gets no usable answer fails the attempt: a score over those that happened to be answered would be another score.
 */
export function detectionScorer({ kind, chat, tokenizer, silent, badReplies, seed, settings: given = {} }: DetectionInput): Scorer {
  const settings = { ...DETECTION_DEFAULTS, ...given };
  for (const [name, value] of Object.entries(settings)) {
    if (!(Number.isInteger(value) && value >= 1)) throw new CallerError('BAD_INPUT', `${kind} setting ${name}: expected a whole number from 1, found ${value}`);
  }
  const one = settings.windowsPerPrompt === 1;
  const prompts = { detection: { list: detectionPrompt, one: detectionOnePrompt }, fuzzing: { list: fuzzingPrompt, one: fuzzingOnePrompt } };
  const prompt = prompts[kind][one ? 'one' : 'list'];
  const wording = wordingOf(tokenizer);
  const bootstrap = new Bootstrap(seed);

  const excerptsOf = (task: ScoreTask): readonly Excerpt[] | { readonly tooFew: string } => {
    const windows = heldOutWindows(task, silent, settings, seed);
    if ('tooFew' in windows) return windows;
    const marks = windows.active.map(activeMarks);
    const count = marksToDraw(marks);
    const rng = Rng.derive(seed, kind, task.index);
    const excerpt = (window: TextWindow, truth: boolean, marked: readonly boolean[]): Excerpt => {
      // Marks go as levels: where tokens are one character only together, a mark on any is on the character.
      const shown = showFragment(window.ids, kind === 'fuzzing' ? marked.map(Number) : window.ids.map(() => 0), wording);
      return { text: markedText(shown.map(({ text }) => text), shown.map(({ level }) => level > 0)), truth, ref: refOf(window) };
    };
    return rng.shuffle([
      ...windows.active.map((window, i) => excerpt(window, true, marks[i])),
      ...windows.silent.map((window) => excerpt(window, false, randomMarks(window.ids.length, count, rng))),
    ]);
  };

  const requestOf = (description: string, excerpts: readonly Excerpt[]): Omit<ChatRequest, 'attempt'> => ({
    messages: prompt.render(description, excerpts.map(({ text }) => text)),
    maxTokens: one ? 8 : 32 + 4 * excerpts.length,
    temperature: 0,
    seed,
    ...(one ? {} : { schema: labelsSchema(excerpts.length) }),
    ...(chat.abilities.replyLogprobs ? { topLogprobs: TOP_LOGPROBS } : {}),
  });

  const scoreOne = async (task: ScoreTask): Promise<ScoreAttempt> => {
    const { index, description } = task;
    const by = { judge: chat.name, promptVersion: prompt.version };
    const excerpts = excerptsOf(task);
    if ('tooFew' in excerpts) {
      return { kind: 'scored', index, scores: judgedScorers(kind).map((scorer) => ({ ...undefinedScore(scorer, excerpts.tooFew), ...by, fragments: [] })) };
    }
    const questions = chunksOf(excerpts, settings.windowsPerPrompt);
    const answers = await askAll(questions.length, (q) =>
      askUntilParsed({ chat, badReplies, feature: index, promptVersion: prompt.version }, requestOf(description, questions[q]), (reply) => readLabels(reply, questions[q].length)),
    );
    if ('bad' in answers) return { kind: 'failed', index, reason: answers.bad };
    const judged = answers.value.flat().map((label, i) => ({ truth: excerpts[i].truth, ...label }));
    const fragments = excerpts.map(({ ref }) => ref);
    return { kind: 'scored', index, scores: judgedScores(kind, judged, bootstrap).map((score) => ({ ...score, ...by, fragments })) };
  };

  return {
    name: kind,
    judge: chat.name,
    promptVersion: prompt.version,
    parameters: { kind, judge: chat.identity, promptVersion: prompt.version, settings, windows: WINDOW_RULES, silent: silent.identity, seed },
    judges: () => true,
    score: (tasks) => forEachTask(tasks, scoreOne),
    plan: (tasks) =>
      tasks.flatMap((task) => {
        const excerpts = excerptsOf(task);
        if ('tooFew' in excerpts) return [];
        return chunksOf(excerpts, settings.windowsPerPrompt).map((question) => sizeOf(requestOf(task.description, question), question.length));
      }),
  };
}

/** A label of a list takes two tokens beside those of its frame; one without a schema is a single digit. */
function sizeOf({ messages, maxTokens, schema }: Omit<ChatRequest, 'attempt'>, labels: number): RequestSize {
  return { promptBytes: promptBytes(messages, schema === undefined ? '' : JSON.stringify(schema)), maxTokens, expectedTokens: schema === undefined ? 1 : 6 + 2 * labels };
}

function chunksOf<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}
