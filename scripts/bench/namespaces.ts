import { requireProgram } from '../../src/base/child-process.ts';

/** Two hosts as the kernel sees them: a network namespace each, joined by a cable. Everything else is shared. */
export type TwoNamespaces = AsyncDisposable & {
  readonly node: { readonly address: string; readonly enter: readonly string[] };
  readonly repository: { readonly address: string; readonly enter: readonly string[] };
};

const SECONDS_20 = 20_000;

export async function openTwoNamespaces(): Promise<TwoNamespaces> {
  const [a, b] = [`tmb${process.pid}a`, `tmb${process.pid}b`];
  const ip = async (...args: string[]): Promise<void> => void (await requireProgram('ip', args, { deadlineMs: SECONDS_20 }));
  const close = async (): Promise<void> => {
    for (const name of [a, b]) await ip('netns', 'del', name).catch(() => {});
  };
  const host = (name: string, number: number) => ({ address: `10.213.0.${number}`, enter: ['ip', 'netns', 'exec', name] });
  try {
    for (const name of [a, b]) await ip('netns', 'add', name);
    await ip('link', 'add', 'eth0', 'netns', a, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', b);
    for (const [name, { address }] of [[a, host(a, 1)], [b, host(b, 2)]] as const) {
      await ip('-n', name, 'address', 'add', `${address}/24`, 'dev', 'eth0');
      for (const device of ['lo', 'eth0']) await ip('-n', name, 'link', 'set', device, 'up');
    }
    return { node: host(a, 1), repository: host(b, 2), [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}
