/** Numbers about the running server, for whoever watches it. Names are in snake_case with a unit, labels few and of few values. */
export interface Meters {
  /** A count that only grows. */
  counter<Label extends string>(name: string, help: string, labels: readonly Label[]): Counter<Label>;
  /** How values are spread; `buckets`: upper bounds, ascending. */
  histogram<Label extends string>(name: string, help: string, labels: readonly Label[], buckets: readonly number[]): Histogram<Label>;
  /** A value read when it is asked for. */
  gauge(name: string, help: string, read: () => number): void;
  /** A count kept elsewhere, read when it is asked for. */
  total(name: string, help: string, read: () => number): void;
}

export interface Counter<Label extends string> {
  add(labels: Readonly<Record<Label, string>>, by?: number): void;
}

export interface Histogram<Label extends string> {
  observe(labels: Readonly<Record<Label, string>>, value: number): void;
}

/** Meters whose numbers can be shown. */
export interface ShownMeters extends Meters {
  /** Everything measured, in the text format of Prometheus, and its content type. */
  show(): Promise<{ readonly type: string; readonly text: string }>;
  close(): void;
}
