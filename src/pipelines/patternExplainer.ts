import type { DictionaryWeights } from '../domain/dictionary.ts';
import { AloneTable } from '../interp/pattern/aloneTable.ts';
import { explainPatterns } from '../interp/pattern/explainPatterns.ts';
import type { Subject } from '../interp/pattern/probe.ts';
import { PATTERN_SETTINGS } from '../interp/pattern/settings.ts';
import type { PatternSettings } from '../interp/pattern/settings.ts';
import { Variants } from '../interp/pattern/variants.ts';
import type { ExplainAttempt, Explainer, ExplainTask } from '../ports/Explainer.ts';
import type { SubjectModel } from '../ports/SubjectModel.ts';
import type { Tokenizer } from '../ports/Tokenizer.ts';
import { ProbeReader } from './probeReader.ts';
import type { ProbeCost } from './probeReader.ts';

export const PATTERN_EXPLAINER = 'pattern-v1';

export interface PatternExplainerInput {
  readonly model: SubjectModel;
  readonly tokenizer: Tokenizer;
  readonly dictionary: DictionaryWeights;
  /** Tokens of the text the dictionary was analysed on (some thousands): what masked tokens are replaced by. Not empty. */
  readonly background: ArrayLike<number>;
  readonly seed: number;
  readonly settings?: PatternSettings;
  /** What `readAlone` gave for the same model, dictionary and settings; without it the vocabulary is read on opening. */
  readonly alone?: AloneTable;
}

/** Reads every token of the vocabulary once, alone in a document: 2·V tokens. */
export async function readAlone({ model, tokenizer, dictionary, settings = PATTERN_SETTINGS }: Pick<PatternExplainerInput, 'model' | 'tokenizer' | 'dictionary' | 'settings'>, reader = new ProbeReader(model, dictionary)): Promise<AloneTable> {
  const documentStart = documentStartOf(tokenizer);
  const table = new AloneTable(settings.aloneTokens);
  const ids = Array.from({ length: sizeOf(model, tokenizer) }, (_, id) => id).filter((id) => id !== documentStart);
  await reader.eachCodes(ids.map((id) => [documentStart, id]), (row, features, values) => table.add(ids[row], features, values));
  return table;
}

/**
 * The explainer that needs no language model besides the subject: see src/interp/pattern. Opening it reads every token of the
 * vocabulary once, alone in a document (2·V tokens).
 */
export async function openPatternExplainer(input: PatternExplainerInput): Promise<Explainer & { readonly cost: ProbeCost }> {
  const { model, tokenizer, dictionary, background, seed } = input;
  const settings = input.settings ?? PATTERN_SETTINGS;
  const reader = new ProbeReader(model, dictionary);
  const texts = Array.from({ length: sizeOf(model, tokenizer) }, (_, id) => tokenizer.token(id));
  const table = input.alone ?? (await readAlone({ model, tokenizer, dictionary, settings }, reader));

  const variants = new Variants(texts);
  const subject: Subject = {
    read: (probes) => reader.read(probes),
    propose: (prefixes, n) => reader.propose(prefixes, n),
    documentStart: documentStartOf(tokenizer),
    background,
    token: (id) => texts[id] ?? '',
    decode: (tokens) => tokenizer.decode(tokens),
    variants: (id) => variants.of(id),
    alone: (feature) => table.of(feature),
  };
  return {
    name: PATTERN_EXPLAINER,
    model: null,
    promptVersion: null,
    parameters: { settings, seed },
    cost: reader.cost,
    async explain(tasks: readonly ExplainTask[]): Promise<readonly ExplainAttempt[]> {
      const patterns = await explainPatterns(tasks.map((t) => ({ feature: t.index, fragments: t.fragments, topLogits: t.topLogits })), subject, settings, seed);
      return patterns.map((pattern, i) =>
        pattern === null
          ? { kind: 'failed', index: tasks[i].index, reason: 'no activation in the explanation fragments' }
          : { kind: 'explained', index: pattern.feature, description: pattern.description, detail: pattern.detail },
      );
    },
  };
}

/** The separator that rows of text begin with (src/pipelines/tokenise.ts). */
function documentStartOf(tokenizer: Tokenizer): number {
  return tokenizer.eosId ?? tokenizer.bosId ?? 0;
}

function sizeOf(model: SubjectModel, tokenizer: Tokenizer): number {
  return Math.min(tokenizer.size, model.info.vocabSize);
}
