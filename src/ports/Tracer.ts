export type SpanValues = Readonly<Record<string, string | number | boolean>>;

/** What is known of a piece of work once it is under way. */
export interface Span {
  set(values: SpanValues): void;
  /** Marks the work as failed; the message is for the operator. */
  fail(message: string): void;
}

/** Where time goes: spans, those made inside another's work being its children. */
export interface Tracer {
  /**
   * Runs `work` as a span named `name`.
   *
   * @param parent a W3C `traceparent` header of the caller, whose trace this goes on with.
   */
  span<T>(name: string, values: SpanValues, work: (span: Span) => Promise<T>, parent?: string): Promise<T>;
  /** Sends what is left, then ends. */
  close(): Promise<void>;
}
