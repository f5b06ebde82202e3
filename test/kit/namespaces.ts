/**
 * Machines for a test: network namespaces with addresses of their own on one bridge, and a second network beside it for
 * the orders of the test itself. Needs root. Names carry the process id; everything goes when the test ends.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { requireProgram, runProgram, type Finished } from '../../src/base/child-process.ts';
import { until } from '../../src/base/deadline.ts';

export type TestMachine = {
  readonly name: string;
  readonly namespace: string;
  /** On the network of the plan. */
  readonly address: string;
  /** On the network that no firewall of the test closes. */
  readonly managed: string;
  /** Runs a program there to its end. */
  run(program: string, args: readonly string[], input?: string): Promise<Finished>;
  /** Starts a program there that runs until the test ends. */
  start(program: string, args: readonly string[], options?: { ready?: RegExp }): Promise<ChildProcess>;
};

export type TestNetwork = AsyncDisposable & {
  readonly machines: ReadonlyMap<string, TestMachine>;
  /** Of the bridge, which is this machine itself. */
  readonly address: string;
  machine(name: string): TestMachine;
};

/** Why there can be no network here; undefined when there can. */
export function whyNoNetwork(): string | undefined {
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  const missing = ['ip', 'nft'].find((name) => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0);
  return missing === undefined ? undefined : `there is no ${missing} on this machine`;
}

const quick = { deadlineMs: 20_000 };

export async function openNetwork(names: readonly string[], options: { resolver?: boolean } = {}): Promise<TestNetwork> {
  const id = process.pid.toString(36);
  const third = process.pid % 250;
  const second = 64 + (Math.floor(process.pid / 250) % 60);
  const [plan, management] = [`10.${second}.${third}`, `10.${second + 64}.${third}`];
  const bridges = { [`tp${id}a`]: plan, [`tp${id}b`]: management };
  const children: ChildProcess[] = [];
  const close = async (): Promise<void> => {
    const running = children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
    await Promise.all(running.map(async (child) => {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    }));
    for (const name of names) {
      await runProgram('ip', ['netns', 'del', namespaceOf(id, name)], quick);
      rmSync(join('/etc/netns', namespaceOf(id, name)), { recursive: true, force: true });
    }
    for (const bridge of Object.keys(bridges)) await runProgram('ip', ['link', 'del', bridge], quick);
  };
  try {
    for (const [bridge, net] of Object.entries(bridges)) {
      await requireProgram('ip', ['link', 'add', bridge, 'type', 'bridge'], quick);
      await requireProgram('ip', ['addr', 'add', `${net}.254/24`, 'dev', bridge], quick);
      await requireProgram('ip', ['link', 'set', bridge, 'up'], quick);
    }
    const machines = new Map<string, TestMachine>();
    for (const [at, name] of names.entries()) {
      const namespace = namespaceOf(id, name);
      await requireProgram('ip', ['netns', 'add', namespace], quick);
      await requireProgram('ip', ['-n', namespace, 'link', 'set', 'lo', 'up'], quick);
      for (const [n, [bridge, net]] of Object.entries(bridges).entries()) {
        const [outer, inner] = [`tp${id}${at}${n}`, n === 0 ? 'eth0' : 'mgmt0'];
        await requireProgram('ip', ['link', 'add', outer, 'type', 'veth', 'peer', 'name', inner, 'netns', namespace], quick);
        await requireProgram('ip', ['link', 'set', outer, 'master', bridge, 'up'], quick);
        await requireProgram('ip', ['-n', namespace, 'addr', 'add', `${net}.${at + 11}/24`, 'dev', inner], quick);
        await requireProgram('ip', ['-n', namespace, 'link', 'set', inner, 'up'], quick);
      }
      writeNames(namespace, options.resolver === true ? `${plan}.254` : undefined);
      machines.set(name, makeMachine(name, namespace, `${plan}.${at + 11}`, `${management}.${at + 11}`, children));
    }
    return {
      machines,
      address: `${plan}.254`,
      machine(name) {
        const found = machines.get(name);
        if (found === undefined) throw new Error(`no machine ${name} in this test`);
        return found;
      },
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

const namespaceOf = (id: string, name: string): string => `tp${id}-${name}`;

/** What `ip netns exec` lays over the machine's own files. */
function writeNames(namespace: string, resolver: string | undefined): void {
  for (const [file, text] of [['resolv.conf', resolver === undefined ? '' : `nameserver ${resolver}\noptions timeout:1 attempts:1\n`], ['hosts', '127.0.0.1 localhost\n']] as const) {
    const path = join('/etc/netns', namespace, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
}

/** What runs in a namespace that is there; what was started goes into `children`. */
export function makeMachine(name: string, namespace: string, address: string, managed: string, children: ChildProcess[]): TestMachine {
  const inside = (program: string, args: readonly string[]): string[] => ['netns', 'exec', namespace, program, ...args];
  return {
    name,
    namespace,
    address,
    managed,
    run: async (program, args, input) => await runProgram('ip', inside(program, args), { deadlineMs: 30_000, ...(input !== undefined && { input }) }),
    async start(program, args, { ready } = {}) {
      const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'ip', ...inside(program, args)], { stdio: ['ignore', 'pipe', 'pipe'] });
      children.push(child);
      let said = '';
      for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (said = `${said}${text}`.slice(-20_000)));
      await until(`${program} on ${name}`, 90_000, () => {
        if (child.exitCode !== null) throw new Error(`${program} on ${name} ended with ${child.exitCode}: ${said}`);
        return ready === undefined || ready.test(said) ? true : undefined;
      });
      return child;
    },
  };
}
