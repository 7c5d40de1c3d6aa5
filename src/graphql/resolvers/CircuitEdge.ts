import { measured } from './measured.ts';

export const CircuitEdge = measured;
