import { InferenceSession, Tensor } from 'onnxruntime-node';
import { invariant } from '../../domain/errors.ts';
import { compileCachedSpan } from '../../lm/cachedSpan.ts';
import type { CachedSpan } from '../../lm/cachedSpan.ts';
import { EDITED_ROWS, editInput } from '../../lm/featureEdits.ts';
import { readLanguageModel } from '../../lm/registry.ts';
import { WEIGHTS_LOCATION } from '../../lm/spanContext.ts';
import { layOutWeights } from '../../lm/weightLayout.ts';
import { operatorsOf } from './device.ts';
import type { GeneratorSetup } from './generatorMessages.ts';
import { KeyValueStore } from './generatorStore.ts';
import { SessionCache } from './sessionCache.ts';
import { sessionOptions } from './sessions.ts';
import type { PlannedSteering } from './steeringPlan.ts';

/**
 * Weights of sessions that steer; the one just used always stays. Each is a whole model, made for the points it edits at: their
 * features come in as inputs, so that others at the same points need no new one.
 */
const STEERING_BYTES = 1e9;

export interface NewTokens {
  /** Rows are the store's slots [first, first + rows). */
  readonly first: number;
  readonly rows: number;
  /** [rows, cols]; more than one column only for one row. */
  readonly ids: Int32Array;
  readonly cols: number;
  /** Position of each row's first new token. */
  readonly starts: readonly number[];
  /** Flat places in [rows, cols] whose logits are wanted; may be empty. */
  readonly wanted: readonly number[];
  /** Features edited at every one of the new tokens of the wanted rows; null = none. */
  readonly steering: PlannedSteering | null;
}

interface OpenSpan extends CachedSpan {
  readonly session: InferenceSession;
}

/** One compiled model with the keys and values of several rows. */
export class GeneratorSession {
  readonly #setup: GeneratorSetup;
  readonly #plain: OpenSpan;
  readonly #steered: SessionCache<OpenSpan>;
  /** Steered graphs whose sessions are kept together: of more in turn, one would be compiled anew for every token. */
  readonly graphs: number;
  readonly store: KeyValueStore;

  private constructor(setup: GeneratorSetup, plain: OpenSpan, steeringBytes: number) {
    this.#setup = setup;
    this.#plain = plain;
    this.#steered = new SessionCache(steeringBytes);
    this.graphs = Math.max(1, Math.floor(steeringBytes / plain.weightBytes));
    this.store = new KeyValueStore({ ...setup.span, slots: setup.slots, maxLength: setup.maxLength });
  }

  static async open(setup: GeneratorSetup, steeringBytes = STEERING_BYTES): Promise<GeneratorSession> {
    return new GeneratorSession(setup, await openSpan(setup, setup.span), steeringBytes);
  }

  /** Runs the tokens, adds their keys and values to the store, returns the wanted logits [wanted, V]. */
  async run({ first, rows, ids, cols, starts, wanted, steering }: NewTokens): Promise<Float32Array> {
    invariant(rows === 1 || cols === 1, 'several tokens are for one row at a time');
    const { store } = this;
    const { session, inputs, layers, kvHeads, headDim } = steering === null ? this.#plain : await this.#spanFor(steering);
    const ends = starts.map((start) => start + cols);
    store.ensure(Math.max(...ends));
    const given: Record<string, Tensor> = {
      ids: new Tensor('int32', ids, [rows, cols]),
      positions: new Tensor('int64', BigInt64Array.from({ length: rows * cols }, (_, i) => BigInt(starts[Math.floor(i / cols)] + (i % cols))), [rows, cols]),
      lastKey: new Tensor('int32', Int32Array.from(ends, (end) => end - 1), [rows]),
      total: new Tensor('int32', Int32Array.of(Math.max(...ends)), []),
      rows: new Tensor('int64', BigInt64Array.from(wanted, (at) => BigInt(at)), [wanted.length]),
    };
    const dims = [rows, kvHeads, store.capacity, headDim];
    for (let layer = 0; layer < layers; layer++) {
      given[`key.${layer}`] = new Tensor('float32', store.keys(layer, first, rows), dims);
      given[`value.${layer}`] = new Tensor('float32', store.values(layer, first, rows), dims);
    }
    if (steering !== null) {
      const edited = new Uint8Array(rows);
      // Rows that only come along stay as they are: an edit could make their memory overflow.
      if (rows === 1) edited.fill(1);
      else for (const at of wanted) edited[at] = 1;
      given[EDITED_ROWS] = new Tensor('bool', edited, [rows]);
      Object.assign(given, editTensors(steering));
    }
    const feeds = Object.fromEntries(inputs.map((name) => [name, given[name]]));
    const out = await session.run(feeds);
    for (let layer = 0; layer < layers; layer++) {
      store.append(store.keys(layer, first, rows), out[`newKey.${layer}`].data as Float32Array, starts, cols);
      store.append(store.values(layer, first, rows), out[`newValue.${layer}`].data as Float32Array, starts, cols);
    }
    const logits = out['logits'].data as Float32Array;
    invariant(logits.length === wanted.length * this.#setup.vocabSize, 'logits of the wanted places');
    return logits;
  }

  async #spanFor({ edits, graph }: PlannedSteering): Promise<OpenSpan> {
    const { config, device } = this.#setup;
    const make = async (): Promise<OpenSpan> => {
      const model = readLanguageModel(config);
      return openSpan(this.#setup, compileCachedSpan(model, layOutWeights(model), [], operatorsOf(device), edits));
    };
    return this.#steered.get(graph, make, this.#plain.weightBytes);
  }
}

async function openSpan({ weights, device, threads }: GeneratorSetup, span: CachedSpan): Promise<OpenSpan> {
  const externalData = [{ path: WEIGHTS_LOCATION, data: new Uint8Array(weights) }];
  return { ...span, session: await InferenceSession.create(span.bytes, sessionOptions(device, threads, externalData)) };
}

function editTensors({ edits }: PlannedSteering): Record<string, Tensor> {
  const tensors: Record<string, Tensor> = {};
  for (const [i, { encoder, bias, threshold, inputScale, selected, k, gain, shift, decoder }] of edits.entries()) {
    const set = (name: string, tensor: Tensor): void => void (tensors[editInput(i, name)] = tensor);
    const floats = (name: string, data: Float32Array, dims: readonly number[]): void => set(name, new Tensor('float32', data, dims));
    floats('encoder', encoder, [bias.length, encoder.length / bias.length]);
    floats('bias', bias, [bias.length]);
    floats('threshold', threshold, [threshold.length]);
    floats('inputScale', Float32Array.of(inputScale), []);
    floats('gain', gain, [gain.length]);
    floats('shift', shift, [shift.length]);
    floats('decoder', decoder, [selected.length, decoder.length / selected.length]);
    set('selected', new Tensor('int64', BigInt64Array.from(selected, BigInt), [selected.length]));
    set('k', new Tensor('int64', BigInt64Array.of(BigInt(k)), [1]));
  }
  return tensors;
}
