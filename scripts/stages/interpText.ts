import { join, relative } from 'node:path';
import { readCurrentRuns, type CurrentDictionary } from '../../src/adapters/files/currentRuns.ts';
import { CallerError } from '../../src/domain/errors.ts';
import type { SubjectModel } from '../../src/ports/SubjectModel.ts';
import type { Tokenizer } from '../../src/ports/Tokenizer.ts';
import type { LocatedModel, Workspace } from '../workspace.ts';
import { trainRowsOf } from './build.ts';
import { DEMO_TOKENS, DEMO_TRAIN_SHARE, demoTextOf } from './demoRecipe.ts';
import type { TextSource } from './textSources.ts';
import { tokensStage, withTokens, type TokensOptions } from './tokens.ts';

/** The one text that every method of a comparison is made from and read on. */
export interface ComparedText {
  /** Run folder of the token rows. */
  readonly dir: string;
  /** Rows [0, trainRows) are fitted to, the rest is analysed. */
  readonly trainRows: number;
}

export interface TextChoice {
  /** Null: what the dictionaries were made from, else the demo's own for the bundled model. */
  readonly text: TextSource | null;
  readonly tokens: TokensOptions;
  readonly trainShare: number;
}

/** Throws BAD_INPUT where no text is known. */
export async function comparedText(workspace: Workspace, located: LocatedModel, model: SubjectModel, tokenizer: Tokenizer, set: string, layers: 'all' | readonly number[], choice: TextChoice): Promise<ComparedText> {
  const { config } = workspace;
  const tokenise = async (text: TextSource, tokens: TokensOptions, share: number): Promise<ComparedText> => {
    const { dir } = await tokensStage(workspace, text, tokenizer, model.info.vocabSize, tokens);
    return { dir, trainRows: trainRowsOf(await withTokens(dir, async ({ rows }) => rows), share) };
  };
  if (choice.text !== null) return tokenise(choice.text, choice.tokens, choice.trainShare);
  const all = Object.entries(await membersOf(workspace, located.name, set));
  const members = all.flatMap(([layer, member]) => (layers === 'all' || layers.includes(Number(layer)) ? [member] : []));
  if (members.length > 0) {
    const [first, ...others] = members;
    if (others.some((other) => other.tokens !== first!.tokens || other.trainRows !== first!.trainRows)) {
      throw new CallerError('BAD_INPUT', `the dictionaries of set ${set} were trained on different texts: train them together, or choose --layers that were`);
    }
    return { dir: join(config.home, first!.tokens), trainRows: first!.trainRows };
  }
  const demo = demoTextOf(located);
  if (demo === null) throw new CallerError('BAD_INPUT', `model ${located.name} has no dictionaries of set ${set}, and no text is known to train them on: give it with --text`);
  return tokenise(demo, DEMO_TOKENS, DEMO_TRAIN_SHARE);
}

/** Current dictionaries of a set by layer. */
export async function membersOf({ config }: Workspace, model: string, set: string): Promise<Readonly<Record<number, CurrentDictionary>>> {
  const all = Object.entries((await readCurrentRuns(config.home, model))?.dictionaries ?? {});
  return Object.fromEntries(all.flatMap(([name, current]) => (name.replace(/^\d+-/, '') === set ? [[Number.parseInt(name, 10), current]] : [])));
}

/** Those of `layers` that have no dictionary of the set made from this text. */
export async function missingLayers(workspace: Workspace, model: string, set: string, layers: readonly number[], { dir, trainRows }: ComparedText): Promise<number[]> {
  const members = await membersOf(workspace, model, set);
  const tokens = relative(workspace.config.home, dir);
  return layers.filter((layer) => members[layer]?.tokens !== tokens || members[layer].trainRows !== trainRows);
}
