import type { TrainerAnswers, TrainerCall } from '../../training/trainerCalls.ts';
import type { OpenedBackend, TfjsBackend } from './backend.ts';

/** What the engine asks of a worker thread: a backend first, then what every engine asks of trainers. */
export type TfjsCall = TrainerCall | { readonly kind: 'open'; readonly backend: TfjsBackend | undefined };

/** The answer to each kind of call. */
export interface TfjsAnswers extends TrainerAnswers {
  readonly open: OpenedBackend;
}

/** Errors lose their class between threads: `kind` says whose mistake it was. */
export type TfjsReply<K extends TfjsCall['kind'] = TfjsCall['kind']> =
  | { readonly answer: TfjsAnswers[K] }
  | { readonly error: string; readonly kind: 'bug' | 'unavailable' | 'outside' };
