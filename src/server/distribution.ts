/**
 * The distribution server as this server asks it (docs/design/packages.md): over mutual TLS on its API port, one connection
 * for each question. It may be a part of this machine or of another one; nothing here depends on which.
 */
import type { TLSSocket } from 'node:tls';
import * as z from 'zod';
import { depotKey, installToken, packageList, sent, type installTokenQuestion, type PackageList, type PackageWanted, type sendQuestion } from '../contract/depot.ts';
import { askForJson, askOnce, type Asked, type Question } from '../contract/link/ask-once.ts';
import { judge, tlsOptions, type LinkIdentity } from '../contract/link/trust.ts';
import { packageManifest, signedManifest, type PackageManifest, type PackageName, type SignedManifest } from '../contract/packages.ts';
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

type Wanted = Omit<Question, 'deadlineMs'> & { readonly deadlineMs?: number };

const answerMs = 20_000;
const bytesMs = 60_000;
const sendMs = 600_000;

export function openDistribution(options: { at: DistributionAddress | null; identity: () => LinkIdentity; admission: Admission }): Distribution {
  const { at, identity, admission } = options;

  async function asked(): Promise<Asked> {
    if (at === null) throw noDepot({});
    await admission.refresh();
    const host = at.isLocal ? '127.0.0.1' : at.host;
    const address = `${host}:${at.apiPort}`;
    const notReached = (why: string, cause?: unknown): Error => depotNotReached({ address, why }, cause);
    const distrust = (socket: TLSSocket): string | undefined => {
      const judged = judge(socket, admission.part('depot'));
      return judged.kind === 'refused' ? judged.why : undefined;
    };
    // Whose certificate it is counts, not the name that it was dialled by.
    const tls = { ...tlsOptions(identity()), servername: '', checkServerIdentity: () => undefined };
    return { host, port: at.apiPort, tls, distrust, notTrusted: notReached, notReached };
  }

  const ask = async (wanted: Wanted): Promise<Buffer> => await askOnce(await asked(), { deadlineMs: answerMs, ...wanted });
  const read = async <S extends z.ZodType>(schema: S, wanted: Wanted): Promise<z.infer<S>> => await askForJson(schema, await asked(), { deadlineMs: answerMs, ...wanted });
  const pathOf = ({ name, version, platform }: PackageWanted): string => `/packages/${name}/${version}/${platform}`;
  return {
    at,
    list: async ({ name } = {}) => await read(packageList, { path: `/packages${name === undefined ? '' : `?name=${name}`}` }),
    async find(wanted) {
      const signed = await read(signedManifest, { path: pathOf(wanted) });
      return { signed, manifest: packageManifest.parse(JSON.parse(signed.manifest)) };
    },
    bytes: async (manifest, from, length) => await ask({ path: `${pathOf(manifest)}/bytes`, range: `bytes=${from}-${from + length - 1}`, deadlineMs: bytesMs }),
    key: async () => (await read(depotKey, { path: '/key' })).publicKeyPem,
    send: async (manifest, to, stop) => void (await read(sent, { path: `${pathOf(manifest)}/send`, body: to, deadlineMs: sendMs, stop })),
    makeInstallToken: async (question) => await read(installToken, { path: '/install-tokens', body: question }),
  };
}
