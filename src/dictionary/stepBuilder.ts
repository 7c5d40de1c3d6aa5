import { invariant } from '../domain/errors.ts';
import type { TrainerSpec } from '../domain/training.ts';
import { GraphBuilder } from '../onnx/graphBuilder.ts';
import type { Value } from '../onnx/graphBuilder.ts';
import { opsOf } from '../onnx/ops.ts';
import type { Ops } from '../onnx/ops.ts';
import { adamUpdate } from './adam.ts';
import type { StepGraph } from './architecture.ts';

interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly value: Value;
  readonly m: Value;
  readonly v: Value;
  readonly unitRows: boolean;
  readonly stepFactor: number;
  readonly floor: number | undefined;
}

/** torch's clip_grad_norm_ adds this to the norm. */
const CLIP_EPSILON = 1e-6;
/** Least row norm divided by when rows are brought back to unit length. */
const NORM_FLOOR = 1e-8;

/**
 * Builds a step graph around an architecture's loss and gradients: declares the state, and in `finish` adds what all
 * share, in the order of the sources' trainers: parallel part of unit rows' gradients removed, gradients clipped
 * together, Adam, unit rows brought back to unit length, features' time since they fired.
 */
export class StepBuilder {
  readonly g: GraphBuilder;
  readonly ops: Ops;
  /** [B, D]. */
  readonly x: Value;
  /** What is predicted [B, dOut]: x itself, or `y` for a transcoder. */
  readonly target: Value;
  /** Vectors since each feature was last active [F], before this step. */
  readonly sinceFired: Value;
  readonly #spec: TrainerSpec;
  readonly #parameters: Parameter[] = [];
  readonly #buffers = new Map<string, readonly number[]>();

  constructor(name: string, spec: TrainerSpec) {
    this.#spec = spec;
    this.g = new GraphBuilder(name);
    this.ops = opsOf(this.g);
    const { batchSize: B, dIn, dOut, nFeatures: F } = spec;
    this.x = this.g.input('x', 'float32', [B, dIn]);
    this.target = spec.transcoder ? this.g.input('y', 'float32', [B, dOut]) : this.x;
    this.sinceFired = this.g.input('sinceFired', 'float32', [F]);
  }

  /**
   * Declares a parameter with its moments `<name>.m` and `<name>.v`.
   * @param unitRows keep each row at length 1: the part of its gradient along the row is removed first.
   * @param stepFactor its step size in units of the others'.
   * @param floor least value after a step.
   */
  parameter(name: string, shape: readonly number[], { unitRows = false, stepFactor = 1, floor }: { unitRows?: boolean; stepFactor?: number; floor?: number } = {}): Value {
    const [value, m, v] = [name, `${name}.m`, `${name}.v`].map((each) => this.g.input(each, 'float32', shape));
    this.#parameters.push({ name, shape, value, m, v, unitRows, stepFactor, floor });
    return value;
  }

  /** Declares state that has no gradient; `finish` wants its next value. */
  buffer(name: string, shape: readonly number[]): Value {
    this.#buffers.set(name, shape);
    return this.g.input(name, 'float32', shape);
  }

  /** Declares a scalar input [1]; the architecture's `scalars` gives its value each step. */
  scalar(name: string): Value {
    return this.g.input(name, 'float32', [1]);
  }

  /** Vectors since each feature was last active, this batch included [F]. @param fired as in `finish`. */
  sinceFiredAfter(fired: Value): Value {
    const { where, greater, add } = this.ops;
    return where(greater(fired, 0), 0, add(this.sinceFired, this.#spec.batchSize));
  }

  /**
   * @param gradients dL/dp of every parameter, in its shape.
   * @param fired vectors of the batch on which each feature is active [F].
   * @param loss the architecture's loss, any shape of one element; mse likewise: Σ(x̂ − target)² / (B·dOut).
   */
  finish(end: {
    readonly gradients: Readonly<Record<string, Value>>;
    readonly buffers?: Readonly<Record<string, Value>>;
    readonly fired: Value;
    readonly loss: Value;
    readonly mse: Value;
  }): StepGraph {
    const { g, ops } = this;
    const { add, sub, mul, div, max, min, sqrt, greater, reduceSum, reduceSumSquare, reduceL2, reduceMean, cast, reshape } = ops;
    const { batchSize: B, nFeatures: F, hyper } = this.#spec;
    const stepSize = this.scalar('stepSize');
    const secondCorrection = this.scalar('secondCorrection');

    const gradients = this.#parameters.map(({ name, value, unitRows }) => {
      const gradient = end.gradients[name];
      invariant(gradient !== undefined, `no gradient of ${name}`);
      return unitRows ? sub(gradient, mul(value, reduceSum(mul(gradient, value), [1]))) : gradient;
    });
    let factor: Value | null = null;
    if (hyper.clipNorm > 0) {
      const squares = gradients.map((gradient) => reshape(reduceSumSquare(gradient), [1])).reduce((sum, square) => add(sum, square));
      factor = min(div(g.float(hyper.clipNorm), add(sqrt(squares), CLIP_EPSILON)), 1);
    }
    const stateNames: string[] = [];
    const write = (name: string, value: Value, shape: readonly number[]): void => {
      stateNames.push(name);
      g.output(value, `next.${name}`, 'float32', shape);
    };
    this.#parameters.forEach(({ name, shape, value, m, v, unitRows, stepFactor, floor }, i) => {
      const gradient = factor === null ? gradients[i]! : mul(gradients[i]!, factor);
      const next = adamUpdate(g, { p: value, gradient, m, v, stepSize: stepFactor === 1 ? stepSize : mul(stepSize, stepFactor), secondCorrection }, hyper);
      const bounded = floor === undefined ? next.p : max(next.p, floor);
      write(name, unitRows ? div(bounded, max(reduceL2(bounded, [1]), NORM_FLOOR)) : bounded, shape);
      write(`${name}.m`, next.m, shape);
      write(`${name}.v`, next.v, shape);
    });
    for (const [name, shape] of this.#buffers) {
      const value = end.buffers?.[name];
      invariant(value !== undefined, `no next value of ${name}`);
      write(name, value, shape);
    }
    const since = this.sinceFiredAfter(end.fired);
    write('sinceFired', since, [F]);
    const scalar = (value: Value, name: string): void => g.output(reshape(value, [1]), name, 'float32', [1]);
    scalar(end.loss, 'loss');
    scalar(end.mse, 'mse');
    scalar(mul(reduceSum(end.fired), 1 / B), 'l0');
    scalar(reduceMean(cast(greater(since, hyper.deadVectors - 0.5), 'float32')), 'dead');
    return { bytes: g.encode(), stateNames };
  }
}
