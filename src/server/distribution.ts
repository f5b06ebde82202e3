/**
 * The distribution server as this server asks it (docs/design/packages.md): over mutual TLS on its API port, one connection
 * for each question. It may be a part of this machine or of another one; nothing here depends on which.
 */
import { request } from 'node:https';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import * as z from 'zod';
import { withDeadline } from '../base/deadline.ts';
import { fromWire, isFailure } from '../base/failure.ts';
import { depotKey, installToken, packageList, sent, type installTokenQuestion, type PackageList, type PackageWanted, type sendQuestion } from '../contract/depot.ts';
import { judge, tlsOptions, type LinkIdentity } from '../contract/link/trust.ts';
import { packageManifest, signedManifest, type PackageManifest, type PackageName, type SignedManifest } from '../contract/packages.ts';
import { wireFailure } from '../contract/values.ts';
import type { Admission } from './admission.ts';
import { depotNotReached, noDepot } from './failures.ts';

/** `isLocal`: it runs on this server's machine, which keeps its identity and asks it on the loopback address. */
export type DistributionAddress = { readonly host: string; readonly apiPort: number; readonly installerPort: number; readonly isLocal: boolean };
export type OfferedPackage = { readonly manifest: PackageManifest; readonly signed: SignedManifest };

export type Distribution = {
  /** Null where this installation has none. */
  readonly at: DistributionAddress | null;
  list(wanted?: { name?: PackageName }): Promise<PackageList>;
  /** `latest` is a version too. The hosts verify the signature; this server believes its distribution server. */
  find(wanted: PackageWanted): Promise<OfferedPackage>;
  bytes(manifest: PackageManifest, from: number, length: number): Promise<Buffer>;
  /** The public key that packages are signed with. */
  key(): Promise<string>;
  /** Has it send a package to the deployer of a host, which it dials itself. */
  send(manifest: PackageManifest, to: z.infer<typeof sendQuestion>, stop: AbortSignal): Promise<void>;
  makeInstallToken(question: z.infer<typeof installTokenQuestion>): Promise<z.infer<typeof installToken>>;
};

type Asked = { readonly path: string; readonly body?: unknown; readonly range?: string; readonly deadlineMs?: number; readonly stop?: AbortSignal };

const answerMs = 20_000;
const bytesMs = 60_000;
const sendMs = 600_000;

export function openDistribution(options: { at: DistributionAddress | null; identity: () => LinkIdentity; admission: Admission }): Distribution {
  const { at, identity, admission } = options;

  async function ask({ path, body, range, deadlineMs = answerMs, stop }: Asked): Promise<Buffer> {
    if (at === null) throw noDepot({});
    const address = `${at.host}:${at.apiPort}`;
    return await withDeadline(`the distribution server ${address} to answer`, deadlineMs, async (signal) => {
      await admission.refresh();
      const socket = await reach(at, identity(), admission, signal);
      try {
        const { status, bytes } = await exchange(socket, { path, body, range }, address, signal);
        if (status >= 400) throw failureIn(bytes, address, status);
        return bytes;
      } finally {
        socket.destroy();
      }
    }, stop);
  }

  async function read<S extends z.ZodType>(schema: S, asked: Asked): Promise<z.infer<S>> {
    const bytes = await ask(asked);
    const found = schema.safeParse(jsonIn(bytes));
    if (!found.success) throw depotNotReached({ address: `${at!.host}:${at!.apiPort}`, why: 'its answer is not understood; the versions may not fit together' });
    return found.data;
  }

  const pathOf = ({ name, version, platform }: PackageWanted): string => `/packages/${name}/${version}/${platform}`;
  return {
    at,
    list: async ({ name } = {}) => await read(packageList, { path: `/packages${name === undefined ? '' : `?name=${name}`}` }),
    async find(wanted) {
      const signed = await read(signedManifest, { path: pathOf(wanted) });
      return { signed, manifest: packageManifest.parse(jsonIn(Buffer.from(signed.manifest))) };
    },
    bytes: async (manifest, from, length) => await ask({ path: `${pathOf(manifest)}/bytes`, range: `bytes=${from}-${from + length - 1}`, deadlineMs: bytesMs }),
    key: async () => (await read(depotKey, { path: '/key' })).publicKeyPem,
    send: async (manifest, to, stop) => void (await read(sent, { path: `${pathOf(manifest)}/send`, body: to, deadlineMs: sendMs, stop })),
    makeInstallToken: async (question) => await read(installToken, { path: '/install-tokens', body: question }),
  };
}

async function reach(at: DistributionAddress, identity: LinkIdentity, admission: Admission, signal: AbortSignal): Promise<TLSSocket> {
  const address = `${at.host}:${at.apiPort}`;
  const socket = await new Promise<TLSSocket>((resolve, reject) => {
    const opened = connectTls({ ...tlsOptions(identity), host: at.isLocal ? '127.0.0.1' : at.host, port: at.apiPort, servername: '', checkServerIdentity: () => undefined });
    signal.addEventListener('abort', () => opened.destroy(), { once: true });
    opened.once('secureConnect', () => resolve(opened));
    opened.once('error', (error) => reject(depotNotReached({ address, why: error.message }, error)));
  });
  const judged = judge(socket, admission.part('depot'));
  if (judged.kind === 'admitted') return socket;
  socket.destroy();
  throw depotNotReached({ address, why: judged.why });
}

async function exchange(socket: TLSSocket, { path, body, range }: Asked, address: string, signal: AbortSignal): Promise<{ status: number; bytes: Buffer }> {
  return await new Promise((resolve, reject) => {
    const fail = (error: Error): void => reject(isFailure(error) ? error : depotNotReached({ address, why: error.message }, error));
    const headers = { host: 'tidemark', 'content-type': 'application/json', ...(range !== undefined && { range }) };
    const asked = request({ createConnection: () => socket, method: body === undefined ? 'GET' : 'POST', path, headers, signal }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', fail);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, bytes: Buffer.concat(parts) }));
    });
    asked.once('error', fail);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function jsonIn(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

function failureIn(bytes: Buffer, address: string, status: number): Error {
  const failure = wireFailure.safeParse(jsonIn(bytes));
  return failure.success ? fromWire(failure.data) : depotNotReached({ address, why: `it answered ${status} and nothing that can be understood` });
}
