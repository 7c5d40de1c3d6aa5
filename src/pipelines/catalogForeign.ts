import { CallerError } from '../domain/errors.ts';
import { parseHookPoint, type HookPoint } from '../domain/hookPoint.ts';
import type { Run } from '../domain/run.ts';
import type { CatalogReader } from '../ports/CatalogReader.ts';
import type { CatalogFolder } from './catalogFolder.ts';
import type { ImportSource } from './catalogImport.ts';
import { countOf } from './catalogHeads.ts';
import { explanationOf, type TokenId } from './catalogParse.ts';

export interface ForeignOptions {
  /** Where the dictionary reads, for files that do not say; null = as their features' hookName says. */
  readonly hook: HookPoint | null;
  /** The import itself, which is all that is known of where the numbers come from. */
  readonly run: Run;
}

/** Tokens whose texts are looked up at once. */
const TOKENS = 10_000;
/** How the field's names of hook points (TransformerLens) begin and end, and ours. */
const HOOKS: readonly (readonly [RegExp, string])[] = [
  [/^blocks\.(\d+)\.hook_resid_pre$/, 'resid_pre'],
  [/^blocks\.(\d+)\.hook_resid_post$/, 'resid_post'],
  [/^blocks\.(\d+)\.hook_attn_out$/, 'attn_out'],
  [/^blocks\.(\d+)\.hook_mlp_out$/, 'mlp_out'],
  [/^blocks\.(\d+)\.ln2\.hook_normalized$/, 'mlp_in'],
];

/**
 * What files without a manifest say of a dictionary: they hold no weights, scores, runs or vocabulary, so the model must be in the
 * catalog, and tokens are found by their text. Two passes over the files, in constant memory.
 */
export async function foreignSource(reader: CatalogReader, folder: CatalogFolder, model: string, dictionary: string, { hook, run }: ForeignOptions): Promise<ImportSource> {
  const known = (await reader.models()).find(({ name }) => name === model);
  if (known === undefined) throw new CallerError('NOT_FOUND', `the catalog has no model ${model}, and these files do not hold its vocabulary: load the model first`);
  let nFeatures = 0;
  let hookName: string | null = null;
  for await (const line of folder.all('features')) {
    if (line.has('catalog')) line.fail('this program wrote it, and there is no manifest.json beside it: the export was broken off; export again');
    nFeatures = Math.max(nFeatures, countOf(line, 'index') + 1);
    hookName ??= line.textOrNull('hookName');
  }
  if (nFeatures === 0) throw new CallerError('NOT_FOUND', `no features of ${model}/${dictionary}: expected v1/${model}/${dictionary}/features/batch-0.jsonl.gz`);
  const explainers = new Set<string>();
  for await (const line of folder.all('explanations')) explainers.add(explanationOf(line).explanation.explainer);
  const hookPoint = hook ?? hookOf(hookName, model, dictionary);
  return {
    dictionary: {
      model, name: dictionary, hookPoint, outputHookPoint: null, layer: parseHookPoint(hookPoint, known.layers).layer, architecture: 'untied', dIn: known.dModel, nFeatures, k: null, l1: null,
      inputScale: 1, weightsHash: '', location: '', quality: null, trainRun: run.key, analyseRun: run.key, tokensAnalysed: null, createdAt: run.startedAt,
    },
    train: run,
    analyse: run,
    explainers: [...explainers].sort().map((explainer) => ({ explainer, run })),
    summaries: null,
    tokenId: await vocabulary(reader, model, known.vocabSize),
  }; // prettier-ignore
}

function hookOf(name: string | null, model: string, dictionary: string): HookPoint {
  for (const [pattern, kind] of HOOKS) {
    const layer = pattern.exec(name ?? '')?.[1];
    if (layer !== undefined) return `${kind}.${layer}` as HookPoint;
  }
  try {
    parseHookPoint(name ?? '');
    return name as HookPoint;
  } catch (cause) {
    throw new CallerError('BAD_INPUT', `the files of ${model}/${dictionary} ${name === null ? 'name no hook point' : `name the hook point "${name}", which is not known here`}: say where it reads with --hook, e.g. resid_post.3`, { cause });
  }
}

/** The first token that reads so; a leading space may also be written as tokenizers store it. */
async function vocabulary(reader: CatalogReader, model: string, size: number): Promise<TokenId> {
  const ids = new Map<string, number>();
  for (let from = 0; from < size; from += TOKENS) {
    const texts = await reader.tokens(model, Array.from({ length: Math.min(TOKENS, size - from) }, (_, i) => from + i));
    for (const [i, text] of texts.entries()) if (text !== null && !ids.has(text)) ids.set(text, from + i);
  }
  return (text) => ids.get(text) ?? ids.get(text.replace(/^[▁Ġ]/, ' ').replaceAll('Ċ', '\n'));
}
