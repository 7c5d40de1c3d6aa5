import { invariant } from '../domain/errors.ts';
import type { Tensor, TrainingState } from './architecture.ts';

/**
 * State before the first step: parameters as given with zero moments, buffers as given, no feature ever fired but none
 * counted dead yet (`sinceFired` 0), `step` 0.
 */
export function freshState(F: number, parameters: Readonly<Record<string, Tensor>>, buffers: Readonly<Record<string, Tensor>> = {}): TrainingState {
  const state = new Map<string, Tensor>();
  for (const [name, tensor] of Object.entries(parameters)) {
    state.set(name, tensor);
    for (const moment of ['m', 'v']) state.set(`${name}.${moment}`, { shape: tensor.shape, data: new Float32Array(tensor.data.length) });
  }
  for (const [name, tensor] of Object.entries(buffers)) state.set(name, tensor);
  state.set('sinceFired', { shape: [F], data: new Float32Array(F) });
  state.set('step', { shape: [1], data: new Float32Array(1) });
  return state;
}

/** Data of a state tensor that must be there. */
export function stateData(state: TrainingState, name: string): Float32Array {
  const tensor = state.get(name);
  invariant(tensor !== undefined, `the training state has no tensor ${name}; it has ${[...state.keys()].join(', ')}`);
  return tensor.data;
}
