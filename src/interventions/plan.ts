import { hookOrder, pointsOf, usualName } from '../causal/hookOrder.ts';
import type { DictionaryWeights } from '../domain/dictionary.ts';
import { CallerError } from '../domain/errors.ts';
import type { HookPoint } from '../domain/hookPoint.ts';
import type { ModelInfo } from '../domain/model.ts';
import type { FeatureIntervention, Intervention, InterventionRequest } from './intervention.ts';

/** A feature with its place in its intervention, and where it is edited. */
export interface Member {
  readonly place: number;
  readonly feature: FeatureIntervention;
  readonly edit: HookPoint;
}

/**
 * A hook point where the edited run is looked at. `read`: features are read, and edited (there or further on). `replace`: a
 * transcoder's reconstruction, read before, takes the place of what has come out here.
 */
export interface Stop {
  readonly kind: 'read' | 'replace';
  readonly hook: HookPoint;
  readonly order: number;
}

/** An intervention, resolved: interventions with equal keys visit the same stops and can run as rows of one batch. */
export interface Planned {
  /** Its place in the request. */
  readonly place: number;
  /** Says in a message which one it is, where there are several. */
  readonly name: string;
  readonly intervention: Intervention;
  readonly ids: Int32Array;
  readonly stops: readonly Stop[];
  /** By stop. A transcoder whose error term is removed is at its `read` stop and at its `replace` stop. */
  readonly members: readonly (readonly Member[])[];
  /** How many predictions: a last one comes out of the run itself, others are read from the final residual stream. */
  readonly predict: 'none' | 'last' | 'some';
  readonly key: string;
}

/** Checks an intervention and puts what it does in the order of computation. Throws BAD_INPUT, BAD_DICTIONARY. */
export function planIntervention(request: InterventionRequest, place: number, info: ModelInfo): Planned {
  const intervention = request.interventions[place];
  const name = request.interventions.length === 1 ? '' : `intervention ${place}: `;
  const bad = (message: string): never => {
    throw new CallerError('BAD_INPUT', `${name}${message}`, { field: ['interventions', String(place)] });
  };
  const ids = request.prompts[intervention.prompt] ?? bad(`prompt ${intervention.prompt}: there are ${request.prompts.length}`);
  if (ids.length === 0) bad('its prompt is empty');
  checkTarget(request, intervention, ids.length, bad);
  if (intervention.features.length === 0) bad('it edits no feature');
  checkPositions(intervention.measures.positions ?? [], ids.length, bad);
  for (const id of namedTokens(intervention)) if (!Number.isInteger(id) || id < 0 || id >= info.vocabSize) bad(`token ${id}: expected an id from 0 to ${info.vocabSize - 1}`);
  for (const { weights, index, positions } of intervention.measures.watch ?? []) {
    checkFeature(weights, index, info.dModel, bad);
    checkPositions(positions ?? [], ids.length, bad);
  }

  const removes = intervention.error === 'remove';
  const stops = new Map<number, { stop: Stop; members: Member[] }>();
  const add = (kind: Stop['kind'], hook: HookPoint, member: Member): void => {
    const order = hookOrder(hook);
    // At one point a replacement comes first: it was read before.
    const at = 2 * order + (kind === 'read' ? 1 : 0);
    let known = stops.get(at);
    if (known === undefined) stops.set(at, (known = { stop: { kind, hook, order }, members: [] }));
    known.members.push(member);
  };
  checkOnce(intervention.features, bad);
  const replaced = new Map<string, DictionaryWeights>();
  for (const [i, feature] of intervention.features.entries()) {
    checkFeature(feature.weights, feature.index, info.dModel, bad);
    checkPositions(feature.positions, ids.length, bad);
    const { read, edit } = pointsOf(feature.weights.config, info.dModel);
    const member = { place: i, feature, edit };
    add('read', read, member);
    if (!removes) continue;
    if (edit !== read) add('replace', edit, member);
    for (const t of feature.positions) {
      const at = `${edit}@${t}`;
      const other = replaced.get(at) ?? feature.weights;
      if (other !== feature.weights) bad(`${other.config.name} and ${feature.weights.config.name} cannot both take the place of ${edit} at position ${t}: keep the error terms, or edit one of them`);
      replaced.set(at, feature.weights);
    }
  }
  const sorted = [...stops].sort(([a], [b]) => a - b).map(([, found]) => found);
  const predict = predictions(intervention, ids.length);
  const key = [predict, ...sorted.map(({ stop }) => `${stop.kind} ${stop.order}`)].join(', ');
  return { place, name, intervention, ids, stops: sorted.map(({ stop }) => stop), members: sorted.map(({ members }) => members), predict, key };
}

/** Dictionaries of members that must be read whole: those that keep only the k largest codes, and those to be reconstructed. */
export function readWhole(members: readonly Member[], error: Intervention['error']): DictionaryWeights[] {
  const whole = members.map(({ feature }) => feature.weights).filter((weights) => error === 'remove' || weights.config.k !== null);
  return [...new Set(whole)];
}

/** Where a watched feature is read, under its usual name. */
export function watchPoint({ config }: DictionaryWeights): HookPoint {
  return usualName(config.hookPoint);
}

function predictions({ measures }: Intervention, length: number): Planned['predict'] {
  const positions = measures.positions ?? [];
  if (positions.length === 0) return 'none';
  return positions.length === 1 && positions[0] === length - 1 ? 'last' : 'some';
}

function namedTokens({ measures }: Intervention): number[] {
  return [...(measures.logProbs ?? []), ...(measures.tokens ?? []), ...(measures.logitDifferences ?? []).flat()];
}

function checkTarget({ prompts }: InterventionRequest, { target, features }: Intervention, length: number, bad: (message: string) => never): void {
  if (target === null) {
    if (features.some(({ operation }) => operation.kind === 'replace_from_target')) bad('replace_from_target needs a target prompt');
    return;
  }
  const ids = prompts[target] ?? bad(`target ${target}: there are ${prompts.length} prompts`);
  if (ids.length !== length) bad(`its prompt has ${length} tokens and its target ${ids.length}: expected as many`);
}

function checkPositions(positions: readonly number[], length: number, bad: (message: string) => never): void {
  for (const [i, t] of positions.entries()) {
    if (!Number.isInteger(t) || t < 0 || t >= length) bad(`position ${t}: its prompt has ${length} tokens`);
    if (i > 0 && t <= positions[i - 1]) bad(`positions ${positions[i - 1]}, ${t}: expected ascending ones`);
  }
}

/** Two edits of one feature at one position contradict each other. */
function checkOnce(features: readonly FeatureIntervention[], bad: (message: string) => never): void {
  const known = new Map<DictionaryWeights, Map<number, Set<number>>>();
  for (const { weights, index, operation, positions } of features) {
    if (Object.values(operation).some((value) => typeof value === 'number' && !Number.isFinite(value))) bad(`${operation.kind}: its number is not finite`);
    let byIndex = known.get(weights);
    if (byIndex === undefined) known.set(weights, (byIndex = new Map()));
    const taken = byIndex.get(index);
    if (taken === undefined) byIndex.set(index, new Set(positions));
    else for (const t of positions) {
      if (taken.has(t)) bad(`feature ${index} of ${weights.config.name} is edited twice at position ${t}`);
      taken.add(t);
    }
  }
}

function checkFeature(weights: DictionaryWeights, index: number, dModel: number, bad: (message: string) => never): void {
  const { name, nFeatures } = weights.config;
  pointsOf(weights.config, dModel);
  if (!Number.isInteger(index) || index < 0 || index >= nFeatures) bad(`feature ${index} of ${name}: expected 0 to ${nFeatures - 1}`);
}
