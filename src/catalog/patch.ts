import { createHash } from 'node:crypto';
import { formatAddress } from '../domain/address.ts';
import { outputHookPointOf } from '../domain/dictionary.ts';
import { CallerError, invariant } from '../domain/errors.ts';
import type { PatchInput, PatchPosition, PatchResult, PatchRun } from '../domain/patch.ts';
import type { CatalogReader, DictionaryRow, ModelRow } from '../ports/CatalogReader.ts';
import type { LiveModels } from '../ports/LiveModels.ts';
import { intervene } from '../interventions/intervene.ts';
import type { FeatureIntervention } from '../interventions/intervention.ts';
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
  const [outcome] = await intervene(model, {
    prompts: target === null ? [base] : [base, target],
    interventions: [
      {
        prompt: 0,
        target: target === null ? null : 1,
        features,
        error: 'keep',
        measures: { positions: read, klFromBase: true, klFromTarget: true, topTokens: input.topTokens, activations: true, editMagnitude: true },
      },
    ],
  });
  const { editMagnitude } = outcome;
  invariant(editMagnitude !== null, 'the magnitude was asked for');
  const result: PatchResult = {
    tokens: tokenTexts(tokenizer, base),
    targetTokens: target === null ? null : tokenTexts(tokenizer, target),
    positions: outcome.predictions.map(({ position, klFromBase, klFromTarget, klBaseFromTarget, changes }): PatchPosition => {
      invariant(klFromBase !== null, 'the divergence was asked for');
      return {
        position,
        token: tokenizer.token(base[position]),
        klFromBase,
        klFromTarget,
        klBaseFromTarget,
        changes: changes.map((change) => ({ ...change, token: tokenizer.token(change.id) })),
      };
    }),
    features: features.map(({ weights }, i) => ({
      feature: input.features[i].feature,
      hookPoint: outputHookPointOf(weights.config),
      before: Array.from(outcome.features[i].before),
      after: Array.from(outcome.features[i].after),
    })),
    editMagnitude: editMagnitude.mean,
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
