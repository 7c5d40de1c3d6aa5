import { SingleBar } from 'cli-progress';
import type { Progress, ProgressTask } from '../../ports/Progress.ts';

/** What this adapter needs of a stream: stderr, or a buffer in tests. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Seconds between plain lines where there is no terminal. */
const LINE_EVERY = 10;

/**
 * Progress on a terminal as a bar with rate and remaining time; elsewhere (a log, CI) as plain lines: one at the start of
 * a task, one every 10 seconds, one at its end.
 */
export function terminalProgress(stream: NodeJS.WriteStream | ProgressStream = process.stderr, now: () => number = () => performance.now()): Progress {
  const drawn = stream.isTTY === true;
  const say = (line: string): void => void stream.write(`${line}\n`);
  return {
    say,
    start(label, total, unit) {
      return drawn ? barTask(stream as NodeJS.WriteStream, label, total, unit, now) : lineTask(say, label, total, unit, now);
    },
  };
}

function barTask(stream: NodeJS.WriteStream, label: string, total: number, unit: string, now: () => number): ProgressTask {
  const began = now();
  let latest = { done: 0, note: '' };
  const bar = new SingleBar({
    stream,
    format: '{label} {bar} {percentage}% {done}/{all} {unit} · {rate} · {left}{note}',
    barsize: 24,
    hideCursor: true,
    fps: 8,
    linewrap: false,
  });
  const payload = (): Record<string, string> => ({
    label: label.padEnd(10),
    done: compact(latest.done),
    all: compact(total),
    unit,
    rate: rateText(latest.done, now() - began, unit),
    left: remainingText(latest.done, total, now() - began),
    note: latest.note === '' ? '' : ` · ${latest.note}`,
  });
  bar.start(Math.max(1, total), 0, payload());
  return {
    update(done, note = latest.note) {
      latest = { done, note };
      bar.update(Math.min(done, total), payload());
    },
    finish(note = latest.note) {
      latest = { done: total, note };
      bar.update(Math.max(1, total), payload());
      bar.stop();
    },
  };
}

function lineTask(say: (line: string) => void, label: string, total: number, unit: string, now: () => number): ProgressTask {
  const began = now();
  let shown = began;
  let latest = { done: 0, note: '' };
  const line = (): void => {
    const elapsed = now() - began;
    const note = latest.note === '' ? '' : `, ${latest.note}`;
    say(`${label}: ${compact(latest.done)}/${compact(total)} ${unit}, ${rateText(latest.done, elapsed, unit)}, ${remainingText(latest.done, total, elapsed)}${note}`);
  };
  say(`${label}: ${compact(total)} ${unit}`);
  return {
    update(done, note = latest.note) {
      latest = { done, note };
      if (now() - shown >= LINE_EVERY * 1000) {
        shown = now();
        line();
      }
    },
    finish(note = latest.note) {
      const seconds = (now() - began) / 1000;
      say(`${label}: done in ${seconds.toFixed(1)} s, ${rateText(total, seconds * 1000, unit)}${note === '' ? '' : `, ${note}`}`);
    },
  };
}

/** 1234567 → 1.23M. */
export function compact(value: number): string {
  if (value >= 1e9) return `${(value / 1e9).toPrecision(3)}G`;
  if (value >= 1e6) return `${(value / 1e6).toPrecision(3)}M`;
  if (value >= 1e4) return `${(value / 1e3).toPrecision(3)}k`;
  return String(Math.round(value));
}

/** Per minute what is slower than one a second. */
function rateText(done: number, milliseconds: number, unit: string): string {
  if (milliseconds <= 0) return `? ${unit}/s`;
  const perSecond = (done * 1000) / milliseconds;
  return done > 0 && perSecond < 1 ? `${(60 * perSecond).toPrecision(2)} ${unit}/min` : `${compact(perSecond)} ${unit}/s`;
}

function remainingText(done: number, total: number, milliseconds: number): string {
  if (done <= 0) return 'remaining ?';
  const seconds = Math.round(((total - done) * milliseconds) / done / 1000);
  return seconds >= 60 ? `${Math.floor(seconds / 60)} min ${seconds % 60} s left` : `${Math.max(0, seconds)} s left`;
}
