import { join } from 'node:path';
import { openTokenRows, writeTokenRows } from '../../src/adapters/files/tokenRows.ts';
import { runStage, type StageResult } from '../../src/pipelines/runStage.ts';
import { PAPER } from '../../src/interp/paperProtocol.ts';
import { noFragments, paperFragments } from '../../src/pipelines/paperFragments.ts';
import { tokeniseRows } from '../../src/pipelines/tokenise.ts';
import type { TokenRows } from '../../src/ports/TokenRows.ts';
import type { Tokenizer } from '../../src/ports/Tokenizer.ts';
import type { Workspace } from '../workspace.ts';
import type { TextSource } from './textSources.ts';

export interface TokensOptions {
  /** Tokens per row. */
  readonly context: number;
  /** Tokens at most; null = the whole text. */
  readonly maxTokens: number | null;
}

const FILE = 'rows';

/** Text to token rows on disk. */
export async function tokensStage(workspace: Workspace, text: TextSource, tokenizer: Tokenizer, vocabSize: number, options: TokensOptions): Promise<StageResult> {
  const { context: cols, maxTokens } = options;
  return runStage(
    { store: workspace.runs, progress: workspace.progress },
    { stage: 'tokens', params: { context: cols, maxTokens, text: text.description }, inputs: { text: await text.hash(), tokenizer: tokenizer.hash }, seed: 0 },
    async (run) => {
      const rows = tokeniseRows({ documents: text.documents(), tokenizer }, { cols, maxTokens }, workspace.progress);
      return writeTokenRows(join(run.dir, FILE), { cols, tokenizerHash: tokenizer.hash, vocabSize }, rows);
    },
  );
}

export interface PaperText {
  readonly text: TextSource;
  /** The first so many documents are read. */
  readonly documents: number;
  readonly seed: number;
}

/** One fragment of each document to token rows on disk, as the paper cut its text for interpretation. */
export async function paperTokensStage(workspace: Workspace, { text, documents, seed }: PaperText, tokenizer: Tokenizer, vocabSize: number): Promise<StageResult> {
  return runStage(
    { store: workspace.runs, progress: workspace.progress },
    { stage: 'tokens', params: { protocol: 'paper', documents, text: text.description }, inputs: { text: await text.hash(), tokenizer: tokenizer.hash }, seed },
    async (run) => {
      const counts = noFragments();
      const rows = paperFragments({ documents: text.documents(), tokenizer, limit: documents, seed }, counts, workspace.progress);
      const written = await writeTokenRows(join(run.dir, FILE), { cols: PAPER.fragmentTokens, tokenizerHash: tokenizer.hash, vocabSize }, rows);
      return { ...written, ...counts };
    },
  );
}

/** Opens the rows of a finished tokens run and closes them whatever happens. */
export async function withTokens<T>(dir: string, use: (tokens: TokenRows) => Promise<T>): Promise<T> {
  const tokens = await openTokenRows(join(dir, FILE));
  try {
    return await use(tokens);
  } finally {
    await tokens.close();
  }
}
