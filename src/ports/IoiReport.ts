/** How units were ordered: by passes of rising thresholds (the paper's), or once by a first-order estimate of what each changes. */
export type IoiOrdering = 'threshold' | 'attribution';

/** One set of patched units. */
export interface IoiPoint {
  /** Units in the set, of those that differ between base and counterfactual at all. */
  readonly patched: number;
  /** Mean KL(patched‖counterfactual) at the last position, nats. */
  readonly kl: number;
  /** Mean ‖x′ − x‖₂ over all positions of all prompts, of this very set. */
  readonly magnitude: number;
  /** The threshold whose pass left this set; null where there is none. */
  readonly tau: number | null;
}

interface Interval {
  readonly low: number;
  readonly high: number;
}

/** A number with its 95 % interval by bootstrap over prompts; null where not defined (a level never reached). */
export interface IoiEstimate {
  readonly value: number | null;
  readonly interval: Interval | null;
}

/** What was run for a curve, and what the same would be without shared prefixes, unchanged prompts and trials kept. */
export interface IoiCost {
  /** Sets whose KL was asked for. */
  readonly sets: number;
  /** Forward runs, all from the hook point on, and prompts in them. */
  readonly runs: number;
  readonly rows: number;
  readonly seconds: number;
  /** One run of all prompts from their first layer for every set; those of units that change nothing included, as the paper ran them. */
  readonly plain: { readonly runs: number; readonly rows: number; readonly seconds: number };
}

/** One dictionary under one ordering. */
export interface IoiCurve {
  readonly layer: number;
  readonly method: string;
  readonly ordering: IoiOrdering;
  /** Catalog name and sha-256 of the weights. */
  readonly dictionary: string;
  readonly weightsHash: string;
  readonly l1: number | null;
  /** Units of the dictionary, and those that differ between base and counterfactual in some prompt. */
  readonly units: number;
  readonly active: number;
  /** Ascending by `patched`: from nothing to all. */
  readonly points: readonly IoiPoint[];
  /** Fewest patched units, and magnitude of that set, with which the KL is at most this share of the unpatched one. */
  readonly levels: readonly { readonly share: number; readonly patched: IoiEstimate; readonly magnitude: IoiEstimate }[];
  /** Mean over 0 to `areaTo` patched units of KL as a share of the unpatched one; lower is better. `areaTo` is one for a layer. */
  readonly area: IoiEstimate;
  readonly areaTo: number;
  /** This area minus another method's, over the same resampled prompts. */
  readonly against: readonly { readonly method: string; readonly area: IoiEstimate }[];
  readonly cost: IoiCost;
}

export interface IoiReportData {
  readonly title: string;
  readonly methods: readonly { readonly name: string; readonly what: string }[];
  readonly curves: readonly IoiCurve[];
  /** Sentences made from the numbers. */
  readonly verdicts: readonly string[];
  readonly notes: readonly string[];
  readonly facts: readonly (readonly [label: string, value: string])[];
}

/** Writes the experiment as files to read. Returns their paths, the page first. */
export interface IoiReport {
  write(path: string, data: IoiReportData): Promise<readonly string[]>;
}
