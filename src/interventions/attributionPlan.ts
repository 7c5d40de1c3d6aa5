import { hookOrder, pointsOf } from '../causal/hookOrder.ts';
import { CallerError } from '../domain/errors.ts';
import type { ModelInfo } from '../domain/model.ts';
import type { AttributionRequest } from './attribution.ts';

/** Throws BAD_INPUT, or BAD_DICTIONARY for one that does not fit the model. */
export function checkAttribution({ prompts, objective, sources, steps }: AttributionRequest, info: ModelInfo): void {
  const bad = (message: string, ...field: string[]): never => {
    throw new CallerError('BAD_INPUT', message, { field });
  };
  if (prompts.length === 0) bad('no prompts are given', 'prompts');
  for (const [p, { length }] of prompts.entries()) if (length === 0) bad(`prompt ${p} is empty`, 'prompts', String(p));
  if (sources.length === 0) bad('no source dictionaries are given', 'sources');
  if (steps !== undefined && !(Number.isInteger(steps) && steps >= 1)) bad(`steps: expected a whole number of at least 1, found ${steps}`, 'steps');
  let end = Infinity;
  if (objective.kind === 'feature') {
    const { config } = objective.weights;
    end = hookOrder(pointsOf(config, info.dModel).read);
    if (!Number.isInteger(objective.index) || objective.index < 0 || objective.index >= config.nFeatures) {
      bad(`feature ${objective.index}: dictionary ${config.name} has 0 to ${config.nFeatures - 1}`, 'objective');
    }
  } else {
    if (objective.ids.length !== prompts.length) bad(`objective: expected one token for each of ${prompts.length} prompts, found ${objective.ids.length}`, 'objective');
    for (const id of objective.ids) if (!Number.isInteger(id) || id < 0 || id >= info.vocabSize) bad(`token ${id}: expected an id from 0 to ${info.vocabSize - 1}`, 'objective');
  }
  for (const [s, { config }] of sources.entries()) {
    const { edit } = pointsOf(config, info.dModel);
    if (hookOrder(edit) > end) bad(`dictionary ${config.name} writes at ${edit}, after the objective: expected that point or an earlier one`, 'sources', String(s));
  }
}
