/** How the server meets the network. */
export interface HttpSettings {
  /** Origins whose pages may read answers; `*` = any. None: pages of this server alone. */
  readonly corsOrigins: readonly string[];
  /** Names the server answers to in the header Host, beside those of loopback; undefined = any, unless it listens on loopback only. */
  readonly hosts: readonly string[] | undefined;
  /** Largest request body, decompressed. */
  readonly bodyBytes: number;
  /** How long a query may take, and a mutation; 0 = as long as it wants. */
  readonly requestSeconds: number;
  readonly mutationSeconds: number;
  /** How long a client may take to send its headers, and its whole request. */
  readonly headersSeconds: number;
  readonly bodySeconds: number;
  /** Connections at once; more are closed as they come. */
  readonly connections: number;
  /** How long /ready says 503 before the server stops taking requests, and how long those under way may then take. */
  readonly drainSeconds: number;
  readonly shutdownSeconds: number;
  /** Whether GET /metrics is for whoever reaches the server; otherwise it is for keys of the scope admin, and where nobody needs a key. */
  readonly metricsOpen: boolean;
}

export const HTTP_SETTINGS: HttpSettings = {
  corsOrigins: [],
  hosts: undefined,
  bodyBytes: 256 * 1024,
  requestSeconds: 30,
  mutationSeconds: 600,
  headersSeconds: 10,
  bodySeconds: 30,
  connections: 4096,
  drainSeconds: 0,
  shutdownSeconds: 10,
  metricsOpen: false,
};
