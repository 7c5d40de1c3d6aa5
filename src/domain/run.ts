/** One execution of a stage: the source of every number it stored. */
export interface Run {
  /** Hex key: hash of stage, parameters and input hashes; equal key = equal output. */
  readonly key: string;
  readonly stage: string;
  /** Parameters, JSON, no secrets. */
  readonly params: Readonly<Record<string, unknown>>;
  /** Hashes or run keys of what went in, by name. */
  readonly inputs: Readonly<Record<string, string>>;
  readonly seed: number;
  readonly codeVersion: string;
  readonly startedAt: string;
  readonly finishedAt: string | null;
  /** Measurements worth keeping (throughput, losses), JSON. */
  readonly metrics: Readonly<Record<string, unknown>>;
}
