/** Where long work reports how far it is. On a terminal a bar with rate and remaining time, elsewhere plain lines. */
export interface ProgressTask {
  /** Sets how much is done, in the unit given at start; `note` is shown beside it, e.g. `fvu 0.12`. */
  update(done: number, note?: string): void;
  finish(note?: string): void;
}

export interface Progress {
  start(label: string, total: number, unit: string): ProgressTask;
  /** One line that stays. */
  say(line: string): void;
}
