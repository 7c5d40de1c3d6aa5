import type { KeyedEdge } from '../causal/circuitMembers.ts';
import type { CircuitOptions } from './circuitOptions.ts';
import { circuitFaithfulness, type CircuitFaithfulness } from './circuitFaithfulness.ts';
import type { CircuitsInput, CircuitsResult } from './circuits.ts';
import { CIRCUIT_DEFAULTS } from './circuitOptions.ts';
import { keyOf, weightsOf, type CircuitNode, type CircuitToken } from './circuitTarget.ts';
import { tokenContexts } from './circuitTokenContexts.ts';

/** How a circuit is tested: every combination is. */
export interface FaithfulnessChoice {
  readonly ablateTo: readonly CircuitFaithfulness['ablateTo'][];
  readonly error: readonly CircuitFaithfulness['error'][];
}

/** By default the means, as Marks et al. 2024, with error terms kept. */
export const FAITHFULNESS_DEFAULTS: FaithfulnessChoice = { ablateTo: ['mean'], error: ['keep'] };

/** The faithfulness of one target's circuit; `measured` is empty where it has none to test. */
export interface TargetFaithfulness {
  /** Address of a feature, or a token as text. */
  readonly target: string;
  readonly token: boolean;
  readonly measured: readonly CircuitFaithfulness[];
}

/** Tests the circuits found, target by target, in the contexts in which they were measured. */
export async function circuitsFaithfulness(input: CircuitsInput, found: CircuitsResult, choice: FaithfulnessChoice): Promise<TargetFaithfulness[]> {
  const options: CircuitOptions = { ...CIRCUIT_DEFAULTS, ...input.options };
  const { model, dictionaries, outputs = [], targets } = input;
  const { texts } = found;
  const edges = keyedEdges(found);
  const tested: TargetFaithfulness[] = [];
  const task = input.progress.start('faithfulness', outputs.length + targets.length, 'targets');
  const test = async (one: CircuitNode | CircuitToken): Promise<CircuitFaithfulness[]> => {
    const token = 'token' in one;
    const target = token ? ({ kind: 'token', id: one.id } as const) : ({ kind: 'feature', weights: weightsOf(one.dictionary, dictionaries), index: one.index } as const);
    const contexts = token ? await tokenContexts(input, one, options) : await texts.of(one);
    const measured: CircuitFaithfulness[] = [];
    if (contexts.length === 0) return measured;
    for (const ablateTo of choice.ablateTo) {
      for (const error of choice.error) {
        const targetKey = token ? tokenKey(one.id) : keyOf(one);
        const result = await circuitFaithfulness({ model, dictionaries, target, edges, targetKey, contexts, means: (name) => texts.means(name), ablateTo, error, batchTokens: options.batchTokens });
        if (result !== null) measured.push(result);
      }
    }
    return measured;
  };
  for (const one of [...outputs, ...targets]) {
    const token = 'token' in one;
    tested.push({ target: token ? one.token : `${model.info.name}/${keyOf(one)}`, token, measured: await test(one) });
    task.update(tested.length);
  }
  task.finish();
  return tested;
}

function keyedEdges({ edges, outputEdges }: CircuitsResult): KeyedEdge[] {
  const source = (edge: { readonly sourceDictionary: string; readonly sourceIndex: number }): string => keyOf({ dictionary: edge.sourceDictionary, index: edge.sourceIndex });
  return [
    ...edges.map((edge) => ({ source: source(edge), target: keyOf({ dictionary: edge.targetDictionary, index: edge.targetIndex }), effect: edge.effect })),
    ...outputEdges.map((edge) => ({ source: source(edge), target: tokenKey(edge.tokenId), effect: edge.effect })),
  ];
}

/** No dictionary's name holds a space. */
function tokenKey(id: number): string {
  return `token ${id}`;
}
