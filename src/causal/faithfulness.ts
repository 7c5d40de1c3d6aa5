/**
 * Mean behaviour m of the whole model M, with all features of the circuit's dictionaries ablated (∅), with all but the
 * circuit's (C), and with the circuit's alone ablated (M∖C).
 */
export interface CircuitBehaviour {
  readonly whole: number;
  readonly empty: number;
  readonly circuit: number;
  readonly complement: number;
}

export interface Faithfulness {
  /** (m(C) − m(∅)) / (m(M) − m(∅)): 1 = the circuit alone does what the model does. */
  readonly faithfulness: number;
  /** (m(M∖C) − m(∅)) / (m(M) − m(∅)): what is left without the circuit; 0 = nothing. Marks et al. 2024 call it completeness. */
  readonly completeness: number;
}

/** Share of |m(M)| by which m(M) and m(∅) must differ for a ratio to mean anything. */
const LEAST_DIFFERENCE = 1e-6;

/** Faithfulness and completeness of a circuit (Marks et al. 2024, section 4); null where ablating everything changes nothing. */
export function faithfulnessOf({ whole, empty, circuit, complement }: CircuitBehaviour): Faithfulness | null {
  const difference = whole - empty;
  if (!(Math.abs(difference) > LEAST_DIFFERENCE * Math.max(Math.abs(whole), Math.abs(empty)))) return null;
  return { faithfulness: (circuit - empty) / difference, completeness: (complement - empty) / difference };
}
