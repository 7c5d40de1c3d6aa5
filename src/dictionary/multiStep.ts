import type { TrainerSpec } from '../domain/training.ts';
import { graphAsBody } from '../onnx/fields.ts';
import { GraphBuilder } from '../onnx/graphBuilder.ts';
import type { StepGraph, TrainableArchitecture } from './architecture.ts';

/** Statistics every step graph gives. */
const STATS = ['loss', 'mse', 'l0', 'dead'] as const;

/**
 * A graph of S steps in one run: the step graph as the body of an ONNX Scan, the state carried from step to step inside. On
 * a device of its own memory the state (parameters and moments, 12 bytes a weight) then crosses the bus once in S steps.
 *
 * Inputs: the state under its own names as in the step graph; `x` [S, B, D] and, for a transcoder, `y` [S, B, dOut]; every
 * scalar as [S, 1]. Outputs: `next.<name>` after the last step; each statistic as [S, 1].
 *
 * The architecture's schedule is the caller's: row i of a scalar is `architecture.scalars(spec, step + i)`.
 */
export function multiStepGraph(architecture: TrainableArchitecture, spec: TrainerSpec, S: number): StepGraph {
  const { batchSize: B, dIn, dOut } = spec;
  const { bytes, stateNames } = architecture.stepGraph(spec);
  const g = new GraphBuilder(`${architecture.name}-${S}-steps`);
  const shapes = new Map(architecture.initialState(spec, new Float32Array(dOut)));
  const state = stateNames.map((name) => g.input(name, 'float32', shapes.get(name)!.shape));
  const vectors = [g.input('x', 'float32', [S, B, dIn]), ...(spec.transcoder ? [g.input('y', 'float32', [S, B, dOut])] : [])];
  const scalarNames = Object.keys(architecture.scalars(spec, 1));
  const scalars = scalarNames.map((name) => g.input(name, 'float32', [S, 1]));
  const body = graphAsBody(bytes, [...stateNames, 'x', ...(spec.transcoder ? ['y'] : []), ...scalarNames], [...stateNames.map((name) => `next.${name}`), ...STATS]);
  const scanned = [...vectors, ...scalars];
  const outputs = g.nodeWithOutputs('Scan', [...state, ...scanned], stateNames.length + STATS.length, {
    body: { graph: () => body, captures: () => [] },
    num_scan_inputs: scanned.length,
  });
  stateNames.forEach((name, i) => g.output(outputs[i]!, `next.${name}`, 'float32', shapes.get(name)!.shape));
  STATS.forEach((name, i) => g.output(outputs[stateNames.length + i]!, name, 'float32', [S, 1]));
  return { bytes: g.encode(), stateNames };
}
