import type { Value } from '../onnx/graphBuilder.ts';
import type { ConfigReader } from './configReader.ts';
import type { SpanContext } from './spanContext.ts';

/** A tensor of the checkpoint, by the name it has there, with the shape the config asks for. */
export interface SourceTensor {
  readonly tensor: string;
  readonly dims: readonly number[];
  /** Another name some checkpoints use. */
  readonly alias?: string;
}

/**
 * A weight as the graph uses it. Its data are the `sources` one after the other, row-major, or whatever `arrange` makes of
 * them; so fused projections are laid out once, when the model is opened.
 */
export interface WeightEntry {
  readonly name: string;
  readonly dims: readonly number[];
  readonly sources: readonly SourceTensor[];
  readonly arrange?: (sources: readonly Float32Array[], out: Float32Array) => void;
}

/**
 * One model: its sizes, its weights and its equations as graph pieces. x is the residual stream [B, T, D]. Values at hook
 * points are those of the Hugging Face implementation.
 */
export interface LanguageModel {
  /** `model_type` of config.json. */
  readonly architecture: string;
  readonly layers: number;
  readonly dModel: number;
  readonly vocabSize: number;
  readonly contextLength: number;
  /** Prefix some checkpoints put before tensor names and others leave out, e.g. `transformer.`. */
  readonly optionalPrefix: string;
  readonly weights: readonly WeightEntry[];
  /** Name of the weight entry holding the unembedding [V, D]. */
  readonly unembedding: string;
  /** The final norm: name of the weight entry holding its gain [D], and whether it subtracts the mean (LayerNorm) or not (RMSNorm). */
  readonly finalNorm: { readonly gain: string; readonly centres: boolean };
  /** ids [B, T] int32 to the residual stream before layer 0. */
  embed(span: SpanContext, ids: Value): Value;
  /** The stream after layer `index`; calls `span.hook` on what attention and MLP add, and on what the MLP receives. */
  layer(span: SpanContext, index: number, x: Value): Value;
  /** Final norm and unembedding: [..., D] to logits [..., V]. */
  head(span: SpanContext, x: Value): Value;
}

/** An entry of the registry. A new architecture is one file exporting this, and one line in registry.ts. */
export interface Architecture {
  /** `model_type` of config.json. */
  readonly modelType: string;
  /** Throws BAD_MODEL_FILE for a missing or odd field, UNSUPPORTED for an option we do not compute. */
  read(config: ConfigReader): LanguageModel;
}
