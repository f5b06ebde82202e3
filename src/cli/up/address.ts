import { createServer, isIP } from 'node:net';
import { sayPortOwner } from '../../base/port-owner.ts';
import { portInUse, usage } from '../failures.ts';

export type Address = { readonly host: string; readonly port: number };

/** `127.0.0.1:9419`, `[::1]:9419`. */
export function parseAddress(text: string, option: string): Address {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:[\]\s]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port < 1 || port > 65535) throw usage({ why: `${option} ${text} is not HOST:PORT`, command: 'tidemark up' });
  return { host: match[1]!.replace(/^\[|\]$/g, ''), port };
}

/** An address, with its port where that is not 53. A name would have to be asked for first. */
export function parseNameServer(text: string): Address {
  const address = isIP(text) === 0 ? parseAddress(text, '--dns') : { host: text, port: 53 };
  if (isIP(address.host) === 0) throw usage({ why: `--dns ${text} is not the address of a name server, such as 10.0.0.53, 10.0.0.53:5353 or [fd00::53]:53`, command: 'tidemark up' });
  return address;
}

/** Fails and names who has the port, if somebody has. A port that is free now can be taken before it is used: then the part says so. */
export async function requireFreePort({ host, port }: Address, option: string): Promise<void> {
  const problem = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    const probe = createServer();
    probe.once('error', resolve);
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(undefined)));
  });
  if (problem === undefined) return;
  if (problem.code !== 'EADDRINUSE') throw usage({ why: `cannot listen on ${host}:${port}: ${problem.message}`, command: 'tidemark up' });
  throw portInUse({ port, by: await sayPortOwner(port), option });
}
