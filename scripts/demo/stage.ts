/** What the demo shows: numbered acts, plain sentences, progress bars. Everything goes to one stream. */
export type Stage = {
  act(title: string): void;
  say(text: string): void;
  /** A command as an operator types it. */
  command(line: string): void;
  /** One measured or compared thing: a mark, words. */
  fact(ok: boolean, text: string): void;
  /** Shows a bar until `work` ends; `share` is between 0 and 1. */
  during<T>(label: string, work: (share: (done: number) => void) => Promise<T>): Promise<T>;
  readonly isWatched: boolean;
};

const BAR = 28;
const REDRAW_MS = 100;

export function openStage(stream: NodeJS.WriteStream): Stage {
  const isWatched = stream.isTTY === true;
  const hasColour = isWatched && process.env['NO_COLOR'] === undefined;
  const paint = (code: number, text: string): string => (hasColour ? `\x1b[${code}m${text}\x1b[0m` : text);
  const write = (line: string): void => void stream.write(`${line}\n`);
  let acts = 0;
  return {
    isWatched,
    act: (title) => write(`\n${paint(1, `${++acts}  ${title}`)}`),
    say: (text) => write(`   ${text}`),
    command: (line) => write(`   ${paint(36, `$ ${line}`)}`),
    fact: (ok, text) => write(`   ${ok ? paint(32, '✓') : paint(31, '✗')} ${text}`),
    async during(label, work) {
      const startedMs = performance.now();
      let drawnMs = Number.NEGATIVE_INFINITY;
      const share = (done: number): void => {
        if (!isWatched || performance.now() - drawnMs < REDRAW_MS) return;
        drawnMs = performance.now();
        stream.write(`\r\x1b[K   ${barOf(label, done)}`);
      };
      try {
        share(0);
        const result = await work(share);
        if (isWatched) stream.write('\r\x1b[K');
        write(`   ${label}  ${paint(2, seconds(performance.now() - startedMs))}`);
        return result;
      } catch (error) {
        if (isWatched) stream.write('\r\x1b[K');
        throw error;
      }
    },
  };
}

export function barOf(label: string, share: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * BAR);
  return `${label}  [${'#'.repeat(filled)}${'-'.repeat(BAR - filled)}] ${String(Math.round(share * 100)).padStart(3)} %`;
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

export function megabytes(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : bytes >= 1e6 ? `${(bytes / 1e6).toFixed(0)} MB` : `${(bytes / 1e3).toFixed(0)} kB`;
}

export function thousands(count: number): string {
  return count.toLocaleString('en-US');
}
