import { attributeMessage } from './attribute.ts';
import type { Attributes, Subgraph } from './attribute.ts';
import { externalTensorMessage, tensorMessage, valueInfoMessage } from './tensor.ts';
import type { Dim, ElementType, TensorData } from './tensor.ts';
import { Message } from './wire.ts';

/** Name of a tensor inside one graph. Only a GraphBuilder makes them. */
export type Value = string & { readonly __value: 'onnx' };

/** An operator's optional input that is left out. */
export const NONE = '' as Value;

export interface NodeOptions {
  /** 'com.microsoft' for onnxruntime's contrib operators; the default is the standard ONNX domain. */
  readonly domain?: 'com.microsoft';
  /** Name of the (first) output, where it should be readable in profiles; made up otherwise. */
  readonly name?: string;
}

/** A node as recorded, for code that reads a graph (shapes.ts, gradient.ts). */
export interface GraphNode {
  readonly op: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly attributes: Attributes;
  readonly domain: string | undefined;
}

/** ONNX operator set the graphs are written against. Reductions take `axes` as an input from 18 on. */
const OPSET = 21;
const IR_VERSION = 10;

/**
 * Builds an ONNX graph and encodes it as the bytes of a ModelProto, which `InferenceSession.create(bytes)` takes.
 *
 *     const g = new GraphBuilder('relu-layer');
 *     const x = g.input('x', 'float32', ['N', 512]);
 *     const w = g.initializer('w', 'float32', [512, 2048], weights);
 *     g.output(g.node('Relu', [g.node('MatMul', [x, w])]), 'y', 'float32', ['N', 2048]);
 *     const bytes = g.encode();
 *
 * Values are names; order of calls is order of nodes, so a node's inputs exist before it. Nodes and constants that no output
 * depends on are left out; inputs stay. Shapes are never inferred here: onnxruntime does that when it loads the graph. Short
 * spellings for common operators are in ops.ts.
 *
 * Bodies of If, Loop and Scan are builders of their own from `subgraph`; their nodes may read the enclosing graph's values:
 *
 *     const [yes, no] = [g.subgraph('yes'), g.subgraph('no')];
 *     yes.output(yes.node('Neg', [x]), 'negated', 'float32');
 *     no.output(x, 'same', 'float32');
 *     const y = g.node('If', [condition], { then_branch: yes, else_branch: no });
 */
export class GraphBuilder implements Subgraph {
  readonly name: string;
  readonly #nodes: GraphNode[] = [];
  /** Values made by nodes that are also graph outputs: their final names, put in place by `encode`. */
  readonly #renamed = new Map<Value, string>();
  readonly #made = new Set<Value>();
  readonly #initializers = new Map<Value, Message>();
  readonly #inputs: Message[] = [];
  readonly #outputs: Message[] = [];
  readonly #outputValues: Value[] = [];
  /** Names taken, and the next number for a made-up one; shared with subgraphs, which see the names of the graphs around them. */
  readonly #names: Set<string>;
  readonly #counter: { next: number };
  readonly #constants = new Map<string, Value>();
  /** Of inputs and constant tensors, and of values whose shape was declared. */
  readonly #dims = new Map<Value, readonly Dim[]>();
  /** Of the constants `int` makes. */
  readonly #ints = new Map<Value, readonly number[]>();
  /** Inputs by name, to tell them from captured values. */
  readonly #inputValues = new Set<Value>();

  constructor(name: string, around?: GraphBuilder) {
    this.name = name;
    this.#names = around === undefined ? new Set() : around.#names;
    this.#counter = around === undefined ? { next: 0 } : around.#counter;
  }

  /** A graph inside this one, to be given as an attribute of one node. Define it after the values it reads. */
  subgraph(name: string): GraphBuilder {
    return new GraphBuilder(name, this);
  }

  #claim(name: string): Value {
    if (name === '' || this.#names.has(name)) throw new Error(`bug: graph ${this.name}: name "${name}" is empty or taken`);
    this.#names.add(name);
    return name as Value;
  }

  #fresh(hint: string): string {
    let name: string;
    do name = `${hint}_${this.#counter.next++}`;
    while (this.#names.has(name));
    return name;
  }

  /** A graph input; symbolic dimensions are strings and equal names mean equal sizes. */
  input(name: string, type: ElementType, shape: readonly Dim[]): Value {
    this.#inputs.push(valueInfoMessage(name, type, shape));
    const value = this.#claim(name);
    this.#inputValues.add(value);
    this.#dims.set(value, shape);
    return value;
  }

  /** Nodes so far, in order. */
  get nodes(): readonly GraphNode[] {
    return this.#nodes;
  }

  /** Says what is known of the shape of a value a node makes; nothing checks it. */
  declareShape(value: Value, dims: readonly Dim[]): void {
    this.#dims.set(value, dims);
  }

  /** Shape of an input or a constant tensor, or as declared; undefined for other values. */
  dimsOf(value: Value): readonly Dim[] | undefined {
    return this.#dims.get(value);
  }

  /** Numbers of a constant made by `int`. */
  intsOf(value: Value): readonly number[] | undefined {
    return this.#ints.get(value);
  }

  /** A constant tensor with its data inside the model; `data` is referenced until `encode`, so do not change it before. */
  initializer<E extends ElementType>(name: string, type: E, dims: readonly number[], data: TensorData[E]): Value {
    const value = this.#claim(name);
    this.#initializers.set(value, tensorMessage(type, dims, data, name));
    this.#dims.set(value, dims);
    return value;
  }

  /** A constant tensor whose bytes are handed to onnxruntime beside the model (see TensorProto.external_data). */
  externalInitializer(
    name: string,
    type: ElementType,
    dims: readonly number[],
    at: { readonly location: string; readonly offset: number; readonly byteLength: number },
  ): Value {
    const value = this.#claim(name);
    this.#initializers.set(value, externalTensorMessage(type, dims, name, at));
    this.#dims.set(value, dims);
    return value;
  }

  /** A float32 constant: a scalar (rank 0) from a number, a vector from an array. Equal constants are stored once. */
  float(value: number | readonly number[]): Value {
    return this.#constant('f', value, (name, dims, list) => this.initializer(name, 'float32', dims, Float32Array.from(list)));
  }

  /** An int64 constant: a scalar (rank 0) from a number, a vector from an array. Equal constants are stored once. */
  int(value: number | readonly number[]): Value {
    return this.#constant('i', value, (name, dims, list) => {
      const made = this.initializer(name, 'int64', dims, BigInt64Array.from(list, (item) => BigInt(item)));
      this.#ints.set(made, list);
      return made;
    });
  }

  #constant(
    kind: string,
    value: number | readonly number[],
    make: (name: string, dims: readonly number[], list: readonly number[]) => Value,
  ): Value {
    const scalar = typeof value === 'number';
    const list = scalar ? [value] : value;
    const key = `${kind}${scalar ? '' : '[]'}${list.join(',')}`;
    let made = this.#constants.get(key);
    if (made === undefined) {
      made = make(this.#fresh(`const_${kind}`), scalar ? [] : [list.length], list);
      this.#constants.set(key, made);
    }
    return made;
  }

  /** Adds a node with one output and returns that output. Trailing and middle optional inputs are `NONE`. */
  node(op: string, inputs: readonly Value[], attributes: Attributes = {}, options: NodeOptions = {}): Value {
    return this.nodeWithOutputs(op, inputs, 1, attributes, options)[0];
  }

  /** Adds a node with `count` outputs. */
  nodeWithOutputs(
    op: string,
    inputs: readonly Value[],
    count: number,
    attributes: Attributes = {},
    options: NodeOptions = {},
  ): Value[] {
    for (const input of inputs) {
      if (input !== NONE && !this.#names.has(input)) throw new Error(`bug: graph ${this.name}: ${op} reads unknown "${input}"`);
    }
    const outputs = Array.from({ length: count }, (_, index) =>
      this.#claim(index === 0 && options.name !== undefined ? options.name : this.#fresh(op)),
    );
    this.#nodes.push({ op, inputs, outputs, attributes, domain: options.domain });
    for (const output of outputs) this.#made.add(output);
    return outputs;
  }

  /**
   * Makes `value` the graph output called `name`; it may be any value, several times, under different names. A value made
   * by a node is renamed, so that being an output costs no copy.
   */
  output(value: Value, name: string, type: ElementType, shape?: readonly Dim[]): void {
    if (this.#made.has(value) && !this.#renamed.has(value)) {
      this.#claim(name);
      this.#renamed.set(value, name);
      this.#outputValues.push(value);
    } else {
      const copy = this.node('Identity', [value], {}, { name });
      this.#renamed.set(copy, name);
      this.#outputValues.push(copy);
    }
    this.#outputs.push(valueInfoMessage(name, type, shape));
  }

  /** Values an output depends on; nodes and constants nothing depends on are not encoded. */
  #needed(): ReadonlySet<Value> {
    const needed = new Set(this.#outputValues);
    for (const node of this.#nodes.toReversed()) {
      if (!node.outputs.some((output) => needed.has(output))) continue;
      for (const input of node.inputs) needed.add(input);
      for (const body of subgraphsOf(node)) for (const captured of body.captures()) needed.add(captured as Value);
    }
    return needed;
  }

  /** As a subgraph: values of the graphs around it that it needs. */
  captures(): readonly string[] {
    return [...this.#needed()].filter((value) => value !== NONE && !this.#made.has(value) && !this.#initializers.has(value) && !this.#inputValues.has(value));
  }

  #nodeMessage(node: GraphNode, finalName: (value: string) => string): Message {
    const message = new Message();
    for (const input of node.inputs) message.text(1, finalName(input));
    for (const output of node.outputs) message.text(2, finalName(output));
    message.text(3, `${node.op}:${node.outputs[0]}`).text(4, node.op);
    for (const [name, value] of Object.entries(node.attributes)) message.message(5, attributeMessage(name, value, finalName));
    return node.domain === undefined ? message : message.text(7, node.domain);
  }

  /** As a subgraph: its GraphProto. @param nameAround final names of the values of the graphs around it. */
  graph(nameAround: (value: string) => string = (value) => value): Message {
    const graph = new Message();
    const needed = this.#needed();
    const finalName = (value: string): string => this.#renamed.get(value as Value) ?? nameAround(value);
    for (const node of this.#nodes) {
      if (node.outputs.some((output) => needed.has(output))) graph.message(1, this.#nodeMessage(node, finalName));
    }
    graph.text(2, this.name);
    for (const [value, initializer] of this.#initializers) if (needed.has(value)) graph.message(5, initializer);
    for (const input of this.#inputs) graph.message(11, input);
    for (const output of this.#outputs) graph.message(12, output);
    return graph;
  }

  /** Bytes of the ModelProto. Fails beyond 2 GiB, protobuf's limit: use `externalInitializer` for such weights. */
  encode(): Uint8Array<ArrayBuffer> {
    const model = new Message().int(1, IR_VERSION).text(2, 'feature-catalog').message(7, this.graph());
    model.message(8, new Message().text(1, '').int(2, OPSET));
    model.message(8, new Message().text(1, 'com.microsoft').int(2, 1));
    if (model.length >= 2 ** 31) {
      throw new Error(`bug: graph ${this.name} is ${model.length} bytes; a ModelProto holds at most 2 GiB`);
    }
    return model.join();
  }
}

function subgraphsOf(node: GraphNode): Subgraph[] {
  return Object.values(node.attributes).filter((value): value is Subgraph => typeof value === 'object' && 'graph' in value);
}
