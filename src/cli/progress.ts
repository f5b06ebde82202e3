/**
 * The progress of a session for a person: a bar that is drawn over on a watched terminal, one line for each step and
 * warning otherwise. Writes to stderr only.
 */
import type { Clock } from '../base/clock.ts';
import type { SessionEvent } from '../contract/sessions.ts';
import { showBytes, showSeconds } from './format.ts';
import type { Terminal } from './surroundings.ts';

export type Progress = {
  show(event: SessionEvent['event'], atMs: number): void;
  /** A line that stays, above the bar. */
  say(line: string): void;
  /** Takes the bar away. */
  end(): void;
};

type Bytes = Extract<SessionEvent['event'], { kind: 'progress' }>['progress'];

const redrawMs = 100;
const clearLine = '\r\x1b[K';

export function openProgress(title: string, terminal: Terminal, clock: Clock): Progress {
  return terminal.isWatched ? openBar(title, terminal, clock) : openLines(title, terminal);
}

function openLines(title: string, terminal: Terminal): Progress {
  const say = (line: string): void => terminal.stderr(`${line}\n`);
  return {
    say,
    end: () => {},
    show(event) {
      if (event.kind === 'step') say(`${title}: ${event.step}`);
      else if (event.kind === 'line') say(`${title}: ${event.level === 'info' ? '' : `${event.level}: `}${event.text}`);
    },
  };
}

function openBar(title: string, terminal: Terminal, clock: Clock): Progress {
  let step = '';
  let stepAtMs = 0;
  let isHeaded = false;
  let bytes: Bytes | undefined;
  let drawn = false;
  let drawnAt = -redrawMs;
  const clear = (): void => {
    if (drawn) terminal.stderr(clearLine);
    drawn = false;
  };
  const draw = (): void => {
    terminal.stderr(clearLine + barLine(`${title}  ${step}`, bytes, terminal.columns() - 1));
    drawn = true;
    drawnAt = clock.monotonicMs();
  };
  const say = (line: string): void => {
    clear();
    terminal.stderr(`${line}\n`);
  };
  /** A step's lines stand below its name; a step without lines is named when it ends, with its time. */
  const sayInStep = (line: string): void => {
    if (step !== '' && !isHeaded) say(`  ${step}`);
    isHeaded = true;
    say(`    ${line}`);
  };
  const closeStep = (atMs: number): void => {
    if (step !== '' && !isHeaded) say(`  ${step}  ${showSeconds((atMs - stepAtMs) / 1000)}`);
  };
  return {
    say,
    end: clear,
    show(event, atMs) {
      if (event.kind === 'progress') bytes = event.progress;
      else if (event.kind === 'line') sayInStep(`${event.level === 'info' ? '' : `${event.level}: `}${event.text}`);
      else if (event.kind === 'step') {
        closeStep(atMs);
        step = event.step;
        stepAtMs = atMs;
        isHeaded = false;
        bytes = undefined;
      } else if (event.state !== 'waiting' && event.state !== 'working') {
        closeStep(atMs);
        return clear();
      }
      if (event.kind !== 'progress' || clock.monotonicMs() - drawnAt >= redrawMs) draw();
    },
  };
}

/** `rs0  read files  [#####-----]  1.2 of 3.5 GB  310 MB/s  7 s left`, cut to the width. */
export function barLine(head: string, bytes: Bytes | undefined, columns: number): string {
  if (bytes === undefined || (bytes.processed === 0 && bytes.expected === null)) return cut(head, columns);
  const rate = bytes.bytesPerSecond === null ? '' : `  ${showBytes(bytes.bytesPerSecond)}/s`;
  const left = bytes.secondsLeft === null ? '' : `  ${showSeconds(bytes.secondsLeft)} left`;
  if (bytes.expected === null || bytes.expected === 0) return cut(`${head}  ${showBytes(bytes.processed)}${rate}`, columns);
  const share = Math.min(1, bytes.processed / bytes.expected);
  const tail = `  ${showBytes(bytes.processed)} of ${showBytes(bytes.expected)}${rate}${left}`;
  const room = Math.min(30, columns - head.length - tail.length - 11);
  const filled = Math.round(share * room);
  const bar = room < 8 ? '' : `  [${'#'.repeat(filled)}${'-'.repeat(room - filled)}]`;
  return cut(`${head}${bar} ${String(Math.floor(share * 100)).padStart(3)} %${tail}`, columns);
}

function cut(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, Math.max(0, columns - 1))}…`;
}
