/** A real name server that knows what a test tells it and nothing else. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../../src/base/deadline.ts';

export function whyNoDnsmasq(): string | undefined {
  return existsSync('/usr/sbin/dnsmasq') ? undefined : 'there is no dnsmasq on this machine';
}

export async function startDnsmasq(address: string, directory: string, records: readonly string[], port = 53): Promise<AsyncDisposable> {
  const fixed = ['--keep-in-foreground', '--conf-file=/dev/null', '--no-resolv', '--no-hosts', `--listen-address=${address}`, `--port=${port}`, '--bind-interfaces', `--pid-file=${join(directory, 'dnsmasq.pid')}`, '--user=root', '--log-facility=-'];
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', '/usr/sbin/dnsmasq', ...fixed, ...records], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  await until('dnsmasq', 20_000, () => {
    if (child.exitCode !== null) throw new Error(`dnsmasq ended with ${child.exitCode}: ${said}`);
    return said.includes('started') ? true : undefined;
  });
  return {
    [Symbol.asyncDispose]: async () => {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await ended;
    },
  };
}
