import type { Attributes } from './attribute.ts';
import type { GraphBuilder, GraphNode, Value } from './graphBuilder.ts';
import type { Dim } from './tensor.ts';

export type Shape = readonly Dim[];

const SAME_AS_FIRST = new Set([
  'Identity', 'Neg', 'Sqrt', 'Exp', 'Log', 'Tanh', 'Sigmoid', 'Erf', 'Relu', 'Gelu', 'QuickGelu', 'Softmax', 'Cast', 'Abs',
  'LayerNormalization', 'SimplifiedLayerNormalization', 'Reciprocal',
]);
const BROADCAST = new Set(['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Where', 'Sum', 'Max', 'Min', 'Greater', 'GreaterOrEqual', 'Less', 'Equal']);

/**
 * Shapes of a graph's values, as far as they are declared or follow from those of its inputs and constants; values of operators not known here
 * have none. A dimension known only when the graph runs is a name. Against another than a literal 1, a named dimension is taken
 * to be equal to it: a graph in which `T` may be 1 where another is not would be wrong for all other T.
 */
export function inferShapes(g: GraphBuilder): Map<Value, Shape> {
  const shapes = new Map<Value, Shape>();
  const of = (value: Value): Shape | undefined => shapes.get(value) ?? g.dimsOf(value);
  for (const node of g.nodes) {
    for (const input of node.inputs) {
      const dims = of(input);
      if (dims !== undefined) shapes.set(input, dims);
    }
    const found = shapesOf(g, node, node.inputs.map(of));
    node.outputs.forEach((output, i) => {
      const shape = g.dimsOf(output) ?? found[i];
      if (shape !== undefined) shapes.set(output, shape);
    });
  }
  return shapes;
}

function shapesOf(g: GraphBuilder, { op, inputs, outputs, attributes }: GraphNode, shapes: readonly (Shape | undefined)[]): readonly (Shape | undefined)[] {
  const [a, b] = shapes;
  if (op === 'Range') return [[outputs[0]]];
  if (a === undefined) return [];
  const ints = (i: number): readonly number[] | undefined => (inputs[i] === undefined ? undefined : g.intsOf(inputs[i]));
  if (SAME_AS_FIRST.has(op)) return [a];
  if (BROADCAST.has(op)) return [shapes.reduce((sum, next) => (sum === undefined || next === undefined ? undefined : broadcast(sum, next)))];
  switch (op) {
    case 'MatMul':
    case 'FusedMatMul':
    case 'Gemm':
      return b === undefined ? [] : [product(a, b, attributes)];
    case 'Transpose':
      return [intsAttribute(attributes, 'perm').map((i) => a[i])];
    case 'Reshape':
      return [reshaped(a, ints(1))];
    case 'Unsqueeze':
      return [ints(1) === undefined ? undefined : unsqueezed(a, ints(1)!)];
    case 'Squeeze':
      return [ints(1) === undefined ? undefined : a.filter((_, i) => !axesOf(ints(1)!, a.length).includes(i))];
    case 'Split': {
      const axis = axisOf(attributes, a.length);
      return ints(1)?.map((size) => a.with(axis, size)) ?? [];
    }
    case 'Concat': {
      const axis = axisOf(attributes, a.length);
      const sizes = shapes.map((shape) => shape?.[axis]);
      const known = sizes.every((size) => typeof size === 'number');
      return [known ? a.with(axis, sizes.reduce((sum: number, size) => sum + (size as number), 0)) : undefined];
    }
    case 'Gather': {
      const axis = axisOf(attributes, a.length, 0);
      return b === undefined ? [] : [[...a.slice(0, axis), ...b, ...a.slice(axis + 1)]];
    }
    case 'ReduceSum':
    case 'ReduceMean': {
      const axes = inputs.length > 1 ? ints(1) : a.map((_, i) => i);
      if (axes === undefined) return [];
      const reduced = axesOf(axes, a.length);
      return [attributes['keepdims'] === 0 ? a.filter((_, i) => !reduced.includes(i)) : a.map((dim, i) => (reduced.includes(i) ? 1 : dim))];
    }
    default:
      return [];
  }
}

/** As numpy broadcasts: aligned at the end, 1 gives way. */
export function broadcast(a: Shape, b: Shape): Shape {
  const [long, short] = a.length >= b.length ? [a, b] : [b, a];
  const offset = long.length - short.length;
  return long.map((dim, i) => (i < offset || short[i - offset] === 1 ? dim : dim === 1 ? short[i - offset] : dim));
}

/** Axes from 0. */
export function axesOf(axes: readonly number[], rank: number): readonly number[] {
  return axes.map((axis) => (axis < 0 ? axis + rank : axis));
}

/** Attribute `axis`, from 0. */
export function axisOf(attributes: Attributes, rank: number, otherwise = -1): number {
  const { axis } = attributes;
  return axesOf([typeof axis === 'number' ? axis : otherwise], rank)[0];
}

/** An attribute that is a list of integers. */
export function intsAttribute(attributes: Attributes, name: string): readonly number[] {
  const value = attributes[name];
  if (typeof value === 'object' && 'ints' in value) return value.ints;
  throw new Error(`bug: attribute ${name} is no list of integers`);
}

function product(a: Shape, b: Shape, attributes: Attributes): Shape {
  const rows = attributes['transA'] === 1 ? a[a.length - 1] : a[a.length - 2];
  const columns = attributes['transB'] === 1 ? b[b.length - 2] : b[b.length - 1];
  return [...broadcast(a.slice(0, -2), b.slice(0, -2)), rows, columns];
}

function unsqueezed(a: Shape, axes: readonly number[]): Shape {
  const places = axesOf(axes, a.length + axes.length);
  const rest = [...a];
  return Array.from({ length: a.length + axes.length }, (_, i) => (places.includes(i) ? 1 : rest.shift()!));
}

/** 0 keeps a dimension; -1 stands for what is left, of which several named dimensions make one with a name of its own. */
function reshaped(a: Shape, shape: readonly number[] | undefined): Shape | undefined {
  if (shape === undefined) return undefined;
  const out = shape.map((size, i) => (size === 0 ? a[i] : size));
  const names = a.filter((dim) => typeof dim === 'string');
  const size = (dims: Shape): number => dims.reduce((total: number, dim) => (typeof dim === 'number' && dim !== -1 ? total * dim : total), 1);
  for (const dim of out) if (typeof dim === 'string') names.splice(names.indexOf(dim), 1);
  const left = size(a) / size(out);
  const rest = [...(left === 1 && names.length > 0 ? [] : [left]), ...names];
  return out.map((dim) => (dim === -1 ? (rest.length === 1 ? rest[0] : rest.join('*')) : dim));
}
