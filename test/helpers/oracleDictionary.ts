import type { DictionaryWeights } from '../../src/domain/dictionary.ts';
import type { HookPoint } from '../../src/domain/hookPoint.ts';
import type { PatchOperation } from '../../src/domain/patch.ts';
import { randomDictionary } from './randomDictionary.ts';

/** A dictionary as scripts/oracle/patch.py writes it. */
export interface OracleDictionary {
  readonly at: readonly ['layer' | 'mlp', number];
  readonly k: number | null;
  readonly inputScale: number;
  readonly outputScale: number;
  readonly encoder: number[][];
  readonly decoder: number[][];
  readonly bias: number[];
  readonly decoderBias: number[];
  readonly skipLeft: number[] | null;
  readonly skipRight: number[] | null;
}

/** `batch` of a fixture of scripts/oracle/patch.py: interventions and what PyTorch hooks made of them. */
export interface OracleBatch {
  readonly prompts: readonly number[][];
  readonly pair: readonly [number, number];
  readonly dictionaries: Readonly<Record<string, OracleDictionary>>;
  readonly interventions: readonly {
    readonly prompt: number;
    readonly target: number | null;
    readonly error: 'keep' | 'remove';
    readonly features: readonly { dictionary: string; index: number; operation: PatchOperation; positions: number[] }[];
    readonly klFromBase: number[];
    readonly klFromTarget: number[] | null;
    readonly logitDifference: number[];
    readonly baseLogitDifference: number[];
    readonly lossChange: number[];
    readonly editNorms: number[];
    readonly watched: readonly { before: number[]; after: number[] }[];
  }[];
}

export function oracleDictionary(name: string, dModel: number, one: OracleDictionary): DictionaryWeights {
  const [kind, layer] = one.at;
  const [hook, outputHookPoint]: HookPoint[] = kind === 'mlp' ? [`mlp_in.${layer}`, `mlp_out.${layer}`] : [`resid_post.${layer}`];
  const { config } = randomDictionary(name, hook, dModel, one.bias.length, { seed: 0, inputScale: one.inputScale, outputScale: one.outputScale, outputHookPoint });
  const { skipLeft, skipRight } = one;
  return {
    config: { ...config, k: one.k },
    encoder: Float32Array.from(one.encoder.flat()),
    encoderBias: Float32Array.from(one.bias),
    threshold: null,
    decoder: Float32Array.from(one.decoder.flat()),
    decoderBias: Float32Array.from(one.decoderBias),
    skip: skipLeft === null || skipRight === null ? null : Float32Array.from({ length: dModel * dModel }, (_, i) => skipLeft[Math.floor(i / dModel)] * skipRight[i % dModel]),
  };
}
