import { connect } from 'node:net';
import type { Document, MongoClient } from 'mongodb';
import { isFailure, type Failure } from '../base/failure.ts';
import { notInitiated, standalone, unreachable, wrongSet } from './failures.ts';

type Look = {
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly replicaSet: string | undefined;
  readonly tls: boolean;
  /** Opens a plain connection to one host, without signing in. */
  readonly plainly: (host: { host: string; port: number }) => Promise<MongoClient>;
};

/**
 * Finds out why a set could not be opened. The driver knows only that no server suited it: a standalone never becomes a
 * member, and a member that asks for TLS closes the connection without a word. (An arbiter knows no users; the driver does
 * not try to sign in there, so it is opened, and refused by those who need data.)
 */
export async function diagnose(failed: Failure, look: Look): Promise<Failure> {
  const says = failed.message;
  if (!isFailure(failed, unreachable)) return failed;
  for (const host of look.hosts) {
    const name = `${host.host}:${host.port}`;
    const hello = await helloOf(look, host);
    if (hello === undefined) continue;
    if (hello['isreplicaset'] === true) return notInitiated({ address: name }, failed);
    if (hello['setName'] === undefined) return standalone({ address: name }, failed);
    const actual = String(hello['setName']);
    if (look.replicaSet !== undefined && actual !== look.replicaSet) return wrongSet({ address: name, expected: look.replicaSet, actual }, failed);
  }
  const [first] = look.hosts;
  if (first === undefined || !/closed|no answer|timed out/.test(says)) return failed;
  const address = `${first.host}:${first.port}`;
  const why = (await listens(first)) ? `it accepts connections and closes them; it may ask for ${look.tls ? 'a client certificate' : 'TLS'}` : 'no answer in time';
  return unreachable({ address, why }, failed);
}

async function helloOf(look: Look, host: { host: string; port: number }): Promise<Document | undefined> {
  try {
    await using client = await look.plainly(host);
    return await client.db('admin').command({ hello: 1 });
  } catch {
    return undefined;
  }
}

async function listens(host: { host: string; port: number }): Promise<boolean> {
  return await new Promise((resolve) => {
    const probe = connect({ ...host, timeout: 2_000 });
    const end = (answer: boolean) => () => {
      probe.destroy();
      resolve(answer);
    };
    probe.once('connect', end(true)).once('error', end(false)).once('timeout', end(false));
  });
}
