/** A cable that is cut: nothing to or from one port of this machine arrives, and nobody is told. Needs root and nft. */
import { requireProgram } from '../../src/base/child-process.ts';

/** Cuts now; the answer resolves when the port has been mended, `ms` later. */
export async function cutPort(port: number, ms: number): Promise<() => Promise<void>> {
  const table = `inet tidemark_cut_${port}`;
  const nft = async (text: string): Promise<void> => void (await requireProgram('nft', ['-f', '-'], { deadlineMs: 10_000, input: text }));
  await nft(`table ${table} { chain in { type filter hook input priority 0; iifname "lo" tcp dport ${port} drop; iifname "lo" tcp sport ${port} drop; }; }\n`);
  const over = new Promise<void>((resolve, reject) => {
    setTimeout(() => void nft(`delete table ${table}\n`).then(resolve, reject), ms);
  });
  over.catch(() => {});
  return async () => await over;
}
