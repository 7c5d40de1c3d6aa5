import { InferenceSession, Tensor } from 'onnxruntime-node';
import { invariant } from '../../domain/errors.ts';
import type { CachedSpan } from '../../lm/cachedSpan.ts';
import { WEIGHTS_LOCATION } from '../../lm/spanContext.ts';
import type { GeneratorSetup } from './generatorMessages.ts';
import { KeyValueStore } from './generatorStore.ts';
import { sessionOptions } from './sessions.ts';

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
}

/** One compiled model with the keys and values of several rows. */
export class GeneratorSession {
  readonly #span: CachedSpan;
  readonly #session: InferenceSession;
  readonly #vocabSize: number;
  readonly store: KeyValueStore;

  private constructor(setup: GeneratorSetup, session: InferenceSession) {
    this.#span = setup.span;
    this.#session = session;
    this.#vocabSize = setup.vocabSize;
    this.store = new KeyValueStore({ ...setup.span, slots: setup.slots, maxLength: setup.maxLength });
  }

  static async open(setup: GeneratorSetup): Promise<GeneratorSession> {
    const externalData = [{ path: WEIGHTS_LOCATION, data: new Uint8Array(setup.weights) }];
    return new GeneratorSession(setup, await InferenceSession.create(setup.span.bytes, sessionOptions(setup.device, setup.threads, externalData)));
  }

  /** Runs the tokens, adds their keys and values to the store, returns the wanted logits [wanted, V]. */
  async run({ first, rows, ids, cols, starts, wanted }: NewTokens): Promise<Float32Array> {
    invariant(rows === 1 || cols === 1, 'several tokens are for one row at a time');
    const { store } = this;
    const { layers, kvHeads, headDim } = this.#span;
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
    const feeds = Object.fromEntries(this.#span.inputs.map((name) => [name, given[name]]));
    const out = await this.#session.run(feeds);
    for (let layer = 0; layer < layers; layer++) {
      store.append(store.keys(layer, first, rows), out[`newKey.${layer}`].data as Float32Array, starts, cols);
      store.append(store.values(layer, first, rows), out[`newValue.${layer}`].data as Float32Array, starts, cols);
    }
    const logits = out['logits'].data as Float32Array;
    invariant(logits.length === wanted.length * this.#vocabSize, 'logits of the wanted places');
    return logits;
  }
}
