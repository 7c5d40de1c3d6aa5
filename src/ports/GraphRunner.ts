/** A tensor handed to a graph or given back by it. */
export interface GraphTensor {
  readonly data: Float32Array | Float64Array | BigInt64Array;
  readonly shape: readonly number[];
}

/** A graph ready to run; runs one at a time, in order. */
export interface OpenGraph {
  /** @returns the outputs named, whose buffers belong to the caller. Inputs are neither changed nor kept; in shared memory they are not copied. */
  run(inputs: Readonly<Record<string, GraphTensor>>, outputs: readonly string[]): Promise<Readonly<Record<string, GraphTensor>>>;
  close(): Promise<void>;
}

/** Runs ONNX graphs (bytes of a ModelProto, from src/onnx) off the main thread. */
export interface GraphRunner {
  /** Library and device, as runs record it: `onnxruntime cpu`. */
  readonly name: string;
  open(graph: Uint8Array<ArrayBuffer>): Promise<OpenGraph>;
  close(): Promise<void>;
}
