/** The process of kept-commands.ts: runs what it is asked to, side by side, until its parent leaves. */
import { runCommandLine } from '../../src/cli/run.ts';
import { surroundings } from '../../src/main/surroundings.ts';
import type { Answered, Asked } from './kept-commands.ts';

process.on('message', ({ id, words }: Asked) => {
  void run(words).then((said) => process.send!({ id, ...said } satisfies Answered));
});
process.once('disconnect', () => process.exit(0));

async function run(words: readonly string[]): Promise<Omit<Answered, 'id'>> {
  const [out, err]: [string[], string[]] = [[], []];
  const terminal = { stdout: (text: string) => void out.push(text), stderr: (text: string) => void err.push(text), isWatched: false, columns: () => 80 };
  const code = await runCommandLine(words, { ...surroundings, terminal });
  return { code, stdout: out.join(''), stderr: err.join('') };
}
