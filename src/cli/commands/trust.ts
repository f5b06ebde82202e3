import type { HostKeyMode, HostKeyStanding } from '../../contract/routes/host-keys.ts';
import type { Client } from '../client.ts';
import { isGiven, textOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { showMoment } from '../format.ts';
import { numberOf, usageOf } from '../numbers.ts';
import { showTable } from '../table.ts';

export async function trustNode(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const mode = textOf(invocation, 'mode') as HostKeyMode | undefined;
  const [host] = invocation.args;
  if (mode !== undefined) {
    if (host !== undefined) throw usageOf(invocation, '--mode is for all hosts; leave the host out');
    const answer = await client.call('host-key.mode', { body: { mode } });
    invocation.answer(answer, () => (answer.mode === 'manual' ? 'hosts whose key is not known wait until they are admitted' : 'the first key a host shows is trusted'));
    return exitCodes.done;
  }
  return host === undefined ? await listWaiting(invocation, client) : await admit(invocation, client, host);
}

async function listWaiting(invocation: Invocation, client: Client): Promise<ExitCode> {
  const { mode, hostKeys } = await client.call('host-key.list');
  const waiting = hostKeys.filter(({ state }) => state !== 'trusted');
  invocation.answer({ mode, hostKeys: waiting }, () =>
    waiting.length === 0
      ? `no host waits to be admitted (${mode} mode, ${hostKeys.length} trusted)`
      : showTable<HostKeyStanding>(
          [
            { title: 'HOST', cell: (row) => `${row.host}:${row.port}` },
            { title: 'STATE', cell: (row) => row.state },
            { title: 'SHOWS', cell: (row) => row.waiting?.fingerprint ?? '' },
            { title: 'TRUSTED', cell: (row) => row.trusted?.fingerprint ?? '–' },
            { title: 'SEEN', cell: (row) => (row.waiting === null ? '' : showMoment(row.waiting.atMs, invocation.surroundings.timeZone)) },
          ],
          waiting,
        ),
  );
  return exitCodes.done;
}

async function admit(invocation: Invocation, client: Client, host: string): Promise<ExitCode> {
  const port = numberOf(invocation, 'port', { from: 1, to: 65_535 }) ?? 22;
  const { hostKeys } = await client.call('host-key.list');
  const known = hostKeys.find((row) => row.host === host && row.port === port);
  const shown = known?.waiting ?? known?.trusted ?? null;
  const fingerprint = textOf(invocation, 'fingerprint') ?? shown?.fingerprint;
  if (fingerprint === undefined) throw usageOf(invocation, `no key of ${host} on port ${port} was ever seen; it is seen when the host is rescanned or installed`);
  if (isGiven(invocation, 'apply')) {
    const standing = await client.call('host-key.admit', { body: { host, port, fingerprint } });
    invocation.answer(standing, () => `${host} is trusted with the ${standing.trusted?.type ?? ''} key ${fingerprint}`);
    return exitCodes.done;
  }
  if (fingerprint !== shown?.fingerprint) throw usageOf(invocation, `${host} shows the key ${shown?.fingerprint ?? 'of nobody'}, not ${fingerprint}`);
  const plan = [`trust the ${shown.type} key ${fingerprint} of ${host} on port ${port}`, ...(known?.trusted && known.waiting ? [`trust its old key ${known.trusted.fingerprint} no more`] : []), 'compare it first, on the host: for f in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf $f; done'];
  invocation.answer({ applied: false, host, port, state: known?.state, fingerprint, plan }, () => [...plan, 'Nothing was changed; add --apply to do it.'].join('\n'));
  return exitCodes.done;
}
