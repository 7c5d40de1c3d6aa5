import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { klDivergence, logSoftmax } from '../causal/divergence.ts';
import { tokenChanges } from '../causal/tokenChanges.ts';
import { formatAddress } from '../domain/address.ts';
import { outputHookPointOf } from '../domain/dictionary.ts';
import { CallerError, invariant } from '../domain/errors.ts';
import type { PatchInput, PatchPosition, PatchResult, PatchRun } from '../domain/patch.ts';
import type { CatalogReader, DictionaryRow, ModelRow } from '../ports/CatalogReader.ts';
import type { LiveModels } from '../ports/LiveModels.ts';
import type { Tokenizer } from '../ports/Tokenizer.ts';
import { intervene, type FeatureIntervention, type InterventionResult } from './intervene.ts';
import { checkPatchInput, checkSameLength, resolvePositions } from './patchInput.ts';
import { promptIds, tokenTexts } from './prompt.ts';

/** Changes whenever the meaning of a patch does, so that stored results of the old meaning are not taken for new ones. */
const SEMANTICS = 'patch-1';

export interface PatchServiceParts {
  readonly reader: Pick<CatalogReader, 'models' | 'dictionaries' | 'patchRun' | 'savePatchRun'>;
  readonly live: Pick<LiveModels, 'open' | 'dictionary'>;
  readonly codeVersion: string;
}

export interface PatchService {
  /**
   * Runs a patch, or returns it from the catalog when the same patch was run on the same weights. Deterministic on one
   * device. Throws CallerError (BAD_INPUT, NOT_FOUND, LIMIT_EXCEEDED, TEXT_TOO_LONG, MODEL_UNAVAILABLE) that names the field.
   */
  patch(input: PatchInput): Promise<PatchRun>;
}

/** Equal patches asked for at the same time run once. How many run at once is bounded by the caller. */
export function createPatchService({ reader, live, codeVersion }: PatchServiceParts): PatchService {
  const underWay = new Map<string, Promise<PatchRun>>();
  return {
    async patch(input) {
      const model = await findModel(reader, input.model);
      const rows = checkPatchInput(input, await reader.dictionaries({ model: input.model }));
      const id = patchId(model, rows, input);
      const stored = await reader.patchRun(id);
      if (stored !== null) return stored;
      let running = underWay.get(id);
      if (running === undefined) {
        running = runPatch(live, model, input, id, codeVersion)
          .then(async (run) => {
            await reader.savePatchRun(run);
            return run;
          })
          .finally(() => underWay.delete(id));
        underWay.set(id, running);
      }
      return running;
    },
  };
}

async function findModel(reader: PatchServiceParts['reader'], name: string): Promise<ModelRow> {
  const models = await reader.models();
  const found = models.find((row) => row.name === name);
  if (found !== undefined) return found;
  const known = models.map((row) => row.name).join(', ');
  throw new CallerError('NOT_FOUND', `the catalog has no model ${JSON.stringify(name)}; ${known === '' ? 'it is empty' : `it has ${known}`}`, { field: ['model'] });
}

/** sha-256 over what determines the result: semantics, weights, tokenizer, dictionaries, input. */
function patchId(model: ModelRow, rows: ReadonlyMap<string, DictionaryRow>, input: PatchInput): string {
  const dictionaries = [...rows].map(([name, row]) => [name, row.weightsHash]).sort(([a], [b]) => (a < b ? -1 : 1));
  const features = input.features.map(({ feature, operation, positions }) => [
    formatAddress(feature),
    operation.kind,
    operation.kind === 'scale' ? operation.factor : operation.kind === 'set' ? operation.value : null,
    positions,
  ]);
  const canonical = [SEMANTICS, model.weightsHash, model.tokenizerHash, dictionaries, input.base, input.target, features, input.readPositions, input.topTokens];
  return createHash('sha256').update(JSON.stringify(canonical)).digest('hex');
}

async function runPatch(live: PatchServiceParts['live'], row: ModelRow, input: PatchInput, id: string, codeVersion: string): Promise<PatchRun> {
  const started = performance.now();
  const { model, tokenizer } = await live.open(input.model);
  const base = promptIds(tokenizer, model.info.contextLength, input.base, 'base');
  const target = input.target === null ? null : promptIds(tokenizer, model.info.contextLength, input.target, 'target');
  if (target !== null) checkSameLength(base, target, (token) => tokenizer.token(token));
  const read = resolvePositions(input.readPositions, base.length, [base.length - 1], ['readPositions']);
  const features = await resolveFeatures(live, input, base.length);
  const outcome = await intervene(model, { base, target, features, read });
  checkDefined(outcome);
  const positions: PatchPosition[] = [];
  for (const [i, position] of read.entries()) {
    positions.push(comparePosition(outcome, i, position, tokenizer.token(base[position]), tokenizer, input.topTokens));
    await setImmediate(); // each takes milliseconds with a large vocabulary
  }
  const result: PatchResult = {
    tokens: tokenTexts(tokenizer, base),
    targetTokens: target === null ? null : tokenTexts(tokenizer, target),
    positions,
    features: features.map(({ weights }, i) => ({
      feature: input.features[i].feature,
      hookPoint: outputHookPointOf(weights.config),
      before: Array.from(outcome.features[i].before),
      after: Array.from(outcome.features[i].after),
    })),
    editMagnitude: outcome.editMagnitude,
  };
  return {
    id,
    input,
    result,
    weightsHash: row.weightsHash,
    codeVersion,
    createdAt: new Date().toISOString(),
    milliseconds: performance.now() - started,
  };
}

async function resolveFeatures(live: PatchServiceParts['live'], input: PatchInput, length: number): Promise<FeatureIntervention[]> {
  const everywhere = Array.from({ length }, (_, t) => t);
  const taken = new Set<string>();
  const names = [...new Set(input.features.map(({ feature }) => feature.dictionary))];
  const dictionaries = new Map(await Promise.all(names.map(async (name) => [name, await live.dictionary(input.model, name)] as const)));
  return input.features.map(({ feature, operation, positions: asked }, i) => {
    const positions = resolvePositions(asked, length, everywhere, ['features', String(i), 'positions']);
    for (const t of positions) {
      const key = `${formatAddress(feature)}@${t}`;
      if (taken.has(key)) {
        throw new CallerError('BAD_INPUT', `feature ${formatAddress(feature)} is patched twice at position ${t}`, { field: ['features', String(i)] });
      }
      taken.add(key);
    }
    const weights = dictionaries.get(feature.dictionary);
    invariant(weights !== undefined && feature.index < weights.config.nFeatures, 'dictionary and catalog differ in size');
    return { weights, index: feature.index, operation, positions };
  });
}

/** An edit can be so large that the network's numbers overflow; what follows is then no distribution. */
function checkDefined({ base, patched }: InterventionResult): void {
  invariant(base.every((logit) => !Number.isNaN(logit)), 'the model gave NaN on an unedited prompt');
  if (patched.every((logit) => Number.isFinite(logit))) return;
  throw new CallerError('BAD_INPUT', 'the patched run overflows: its logits are not finite; choose smaller values or factors', { field: ['features'] });
}

/** Row i of the outcome's logits, which is `position` of the prompt. */
function comparePosition(outcome: InterventionResult, i: number, position: number, token: string, tokenizer: Tokenizer, topTokens: number): PatchPosition {
  const vocab = outcome.vocabSize;
  const before = logSoftmax(outcome.base, i * vocab, vocab);
  const after = logSoftmax(outcome.patched, i * vocab, vocab);
  const target = outcome.target === null ? null : logSoftmax(outcome.target, i * vocab, vocab);
  return {
    position,
    token,
    klFromBase: klDivergence(after, before),
    klFromTarget: target === null ? null : klDivergence(after, target),
    klBaseFromTarget: target === null ? null : klDivergence(before, target),
    changes: tokenChanges(before, after, topTokens).map((change) => ({ ...change, token: tokenizer.token(change.id) })),
  };
}
