import { formatAddress } from '../domain/address.ts';
import { outputHookPointOf, type DictionaryWeights } from '../domain/dictionary.ts';
import { CallerError, invariant } from '../domain/errors.ts';
import type { PatchInput, PatchPosition, PatchResult, TokenChange } from '../domain/patch.ts';
import type { FeatureIntervention, InterventionResult, Measures, WatchedFeature } from '../interventions/intervention.ts';
import type { LiveModels } from '../ports/LiveModels.ts';
import type { Tokenizer } from '../ports/Tokenizer.ts';
import { checkPatchSize } from './patchBounds.ts';
import { checkSameLength, resolvePositions } from './patchInput.ts';
import { promptIds, tokenTexts } from './prompt.ts';
import { tokenNamed } from './tokenNames.ts';

/** A patch in the model's own terms: ids, positions from 0, weights. */
export interface PatchPlan {
  readonly input: PatchInput;
  readonly base: Int32Array;
  readonly target: Int32Array | null;
  /** Positions reported. */
  readonly read: readonly number[];
  readonly features: readonly FeatureIntervention[];
  readonly watch: readonly WatchedFeature[];
  readonly measures: Measures;
}

/** Resolves a checked patch. Throws CallerError that names the field: BAD_INPUT, TEXT_TOO_LONG, LIMIT_EXCEEDED. */
export async function planPatch(live: Pick<LiveModels, 'dictionary'>, tokenizer: Tokenizer, contextLength: number, input: PatchInput): Promise<PatchPlan> {
  const base = promptIds(tokenizer, contextLength, input.base, 'base');
  const target = input.target === null ? null : promptIds(tokenizer, contextLength, input.target, 'target');
  if (target !== null) checkSameLength(base, target, (token) => tokenizer.token(token));
  const everywhere = Array.from(base, (_, t) => t);
  const read = resolvePositions(input.readPositions, base.length, input.allPositions === true ? everywhere : [base.length - 1], ['readPositions']);
  checkPatchSize(input, { tokens: base.length, read: read.length });
  const tokens = (input.tokens ?? []).map((name, i) => tokenNamed(tokenizer, name, ['tokens', String(i)]));
  const logitDifferences = (input.logitDifference ?? []).map(({ positive, negative }, i): [number, number] => [
    tokenNamed(tokenizer, positive, ['logitDifference', String(i), 'positive']),
    tokenNamed(tokenizer, negative, ['logitDifference', String(i), 'negative']),
  ]);
  const names = new Set([...input.features.map(({ feature }) => feature.dictionary), ...(input.watch ?? []).map(({ dictionary }) => dictionary)]);
  const dictionaries = new Map(await Promise.all([...names].map(async (name) => [name, await live.dictionary(input.model, name)] as const)));
  const watch = (input.watch ?? []).map(({ dictionary, index }): WatchedFeature => ({ weights: weightsOf(dictionaries, dictionary, index), index }));
  return {
    input,
    base,
    target,
    read,
    features: editedFeatures(input, dictionaries, everywhere),
    watch,
    measures: {
      positions: input.loss === true ? everywhere : read,
      klFromBase: true,
      klFromTarget: true,
      topTokens: input.topTokens,
      tokens,
      logitDifferences,
      loss: input.loss === true,
      activations: true,
      editMagnitude: true,
      watch,
    },
  };
}

function editedFeatures(input: PatchInput, dictionaries: ReadonlyMap<string, DictionaryWeights>, everywhere: readonly number[]): FeatureIntervention[] {
  const taken = new Set<string>();
  return input.features.map(({ feature, operation, positions: asked }, i) => {
    const positions = resolvePositions(asked, everywhere.length, everywhere, ['features', String(i), 'positions']);
    for (const t of positions) {
      const key = `${formatAddress(feature)}@${t}`;
      if (taken.has(key)) {
        throw new CallerError('BAD_INPUT', `feature ${formatAddress(feature)} is patched twice at position ${t}`, { field: ['features', String(i)] });
      }
      taken.add(key);
    }
    return { weights: weightsOf(dictionaries, feature.dictionary, feature.index), index: feature.index, operation, positions };
  });
}

function weightsOf(dictionaries: ReadonlyMap<string, DictionaryWeights>, name: string, index: number): DictionaryWeights {
  const weights = dictionaries.get(name);
  invariant(weights !== undefined && index < weights.config.nFeatures, 'dictionary and catalog differ in size');
  return weights;
}

/** What the engine found, as it is stored and answered. */
export function patchResult({ input, base, target, read, features, watch }: PatchPlan, outcome: InterventionResult, tokenizer: Tokenizer): PatchResult {
  const { editMagnitude, predictions } = outcome;
  invariant(editMagnitude !== null, 'the magnitude was asked for');
  const text = (id: number): string => tokenizer.token(id);
  const reported = new Set(read);
  const positions = predictions.flatMap(({ position, klFromBase, klFromTarget, klBaseFromTarget, changes, tokens, logitDifferences }): PatchPosition[] => {
    if (!reported.has(position)) return [];
    invariant(klFromBase !== null, 'the divergence was asked for');
    const named = (change: Omit<TokenChange, 'token'>): TokenChange => ({ ...change, token: text(change.id) });
    return [
      {
        position,
        token: text(base[position]),
        klFromBase,
        klFromTarget,
        klBaseFromTarget,
        changes: changes.map(named),
        ...(tokens.length === 0 ? {} : { namedTokens: tokens.map(named) }),
        ...(logitDifferences.length === 0 ? {} : { logitDifferences: logitDifferences.map((found, i) => ({ ...input.logitDifference![i], ...found })) }),
      },
    ];
  });
  const losses = input.loss === true ? predictions.flatMap(({ loss }) => (loss === null ? [] : [loss])) : [];
  return {
    tokens: tokenTexts(tokenizer, base),
    targetTokens: target === null ? null : tokenTexts(tokenizer, target),
    positions,
    features: features.map(({ weights }, i) => ({
      feature: input.features[i].feature,
      hookPoint: outputHookPointOf(weights.config),
      before: Array.from(outcome.features[i].before),
      after: Array.from(outcome.features[i].after),
    })),
    editMagnitude: editMagnitude.mean,
    editMagnitudes: Array.from(editMagnitude.perPosition),
    ...(input.loss === true ? { loss: { base: losses.map((loss) => loss.base), patched: losses.map((loss) => loss.patched) } } : {}),
    ...(watch.length === 0
      ? {}
      : {
          watched: watch.map(({ weights }, i) => ({
            feature: input.watch![i],
            hookPoint: weights.config.hookPoint,
            before: Array.from(outcome.watched[i].before),
            after: Array.from(outcome.watched[i].after),
          })),
        }),
  };
}
