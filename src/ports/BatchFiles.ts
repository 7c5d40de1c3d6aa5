/** What a file holds, before compression. */
export interface BatchContent {
  /** Lower-case hex. */
  readonly sha256: string;
  readonly lines: number;
}

export interface BatchLine {
  /** `path:number`, for messages. */
  readonly place: string;
  readonly text: string;
}

/** Files of one JSON value a line in a folder, compressed where the name ends in .gz. Paths are relative, with "/". */
export interface BatchFiles {
  /**
   * Streams lines (without newlines) to a temporary name, renamed at the end; equal lines make equal bytes on any machine. Where they
   * hash to `known` the file is left as it is; where there are none, no file is made.
   */
  write(path: string, lines: AsyncIterable<string> | Iterable<string>, known?: string): Promise<BatchContent>;
  /** Streams; an absent file yields nothing. Throws BAD_INPUT naming the file where it is cut short or no gzip. */
  read(path: string): AsyncIterable<BatchLine>;
  /** Names in a folder, sorted by their numbers; empty where there is none. */
  list(folder: string): Promise<readonly string[]>;
  has(path: string): Promise<boolean>;
  remove(path: string): Promise<void>;
}
