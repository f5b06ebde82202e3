/**
 * A connection to a host's sshd, signed in. The host proves itself first: nothing of the credential is sent to a host
 * whose key is not admitted.
 *
 * A refused password is not tried in a second way: hosts count wrong ones and lock accounts.
 */
import ssh2, { type AnyAuthMethod, type AuthenticationType, type Client, type Prompt } from 'ssh2';
import { withDeadline } from '../base/deadline.ts';
import { isFailure } from '../base/failure.ts';
import { deadlinePassed } from '../base/failures.ts';
import type { HostCredential } from '../contract/credentials.ts';
import { hostKeyChanged, hostNotReached, hostUntrusted, keyUnreadable, passwordExpired, promptNotUnderstood, signInRefused } from './failures.ts';
import { algorithmsFor, hostKeyOf, type HostKey } from './host-key.ts';
import { wordsOf } from './words.ts';

export type HostKeyRule = {
  /** The key on record: another one is refused. */
  readonly recorded: HostKey | null;
  /** What becomes of a host of which no key is on record. */
  readonly unknown: 'admit' | 'refuse';
  /** Told of the key before anything is sent to the host; answers the key that is on record by then, if any. */
  readonly seen?: (key: HostKey) => Promise<HostKey | null>;
};

export type Connection = { readonly client: Client; readonly hostKey: HostKey; readonly secrets: readonly string[] };

export type ConnectOptions = { readonly host: string; readonly credential: HostCredential; readonly hostKey: HostKeyRule; readonly signInMs?: number; readonly signal?: AbortSignal };

export async function connectTo(options: ConnectOptions): Promise<Connection> {
  const { host, credential } = options;
  const { user, port } = credential;
  const proof = proofOf(credential);
  const client = new ssh2.Client();
  const met: Met = { key: null, refusal: undefined, offered: [], tried: undefined };
  const ms = options.signInMs ?? 30_000;
  const readied = new Promise<void>((resolve, reject) => {
    client.once('ready', resolve);
    // Stays: an error that nobody listens to would end the process.
    client.on('error', reject);
    client.once('close', () => reject(new Error('the host closed the connection')));
    client.on('change password', () => {
      met.refusal ??= passwordExpired({ host, user });
      client.destroy();
    });
  });
  readied.catch(() => {});
  try {
    await withDeadline(
      `${host} to sign in ${user}`,
      ms,
      async () => {
        client.connect({
          host,
          port,
          username: user,
          readyTimeout: 0,
          keepaliveInterval: 15_000,
          keepaliveCountMax: 3,
          algorithms: { serverHostKey: algorithmsFor(options.hostKey.recorded) },
          hostVerifier: (wire: Buffer, verify: (isAdmitted: boolean) => void) => {
            met.key = hostKeyOf(wire);
            judge(host, met.key, options.hostKey).then(
              () => verify(true),
              (error: unknown) => {
                met.refusal = error as Error;
                verify(false);
              },
            );
          },
          authHandler: (left, isPartial, next) => next(nextProof({ left, isPartial: isPartial === true, host, credential, proof, met, client }) as AnyAuthMethod),
        });
        await readied;
      },
      options.signal,
    );
  } catch (error) {
    client.destroy();
    throw met.refusal ?? refusalOf(error, options, met);
  }
  return { client, hostKey: met.key!, secrets: secretsOf(credential) };
}

/** Whatever the host does. */
export async function closeConnection(client: Client): Promise<void> {
  const gone = new Promise<void>((resolve) => client.once('close', () => resolve()));
  client.end();
  await withDeadline('the connection to close', 3_000, async () => await gone).catch(() => client.destroy());
}

type Met = { key: HostKey | null; refusal: Error | undefined; offered: readonly string[]; tried: 'password' | 'key' | 'keyboard-interactive' | undefined };

/** Fails unless the key may be believed. */
async function judge(host: string, key: HostKey, rule: HostKeyRule): Promise<void> {
  const recorded = (await rule.seen?.(key)) ?? rule.recorded;
  if (recorded !== null && recorded.fingerprint !== key.fingerprint) throw hostKeyChanged({ host, recorded: recorded.fingerprint, offered: key.fingerprint });
  if (recorded === null && rule.unknown === 'refuse') throw hostUntrusted({ host, type: key.type, offered: key.fingerprint });
}

/** Every secret of a credential, so that no word of the host repeats one. */
export function secretsOf({ signIn, elevation }: HostCredential): string[] {
  const own = signIn.kind === 'password' ? [signIn.password] : [signIn.privateKey, signIn.passphrase];
  const more = elevation.kind === 'none' ? [] : elevation.kind === 'su' ? [elevation.rootPassword] : [elevation.password, elevation.rootPassword];
  return [...own, ...more].filter((secret) => secret !== undefined && secret !== '') as string[];
}

/** The key is read before a connection is made: a passphrase that does not fit is no matter of the host. */
function proofOf({ user, signIn }: HostCredential): string | ssh2.ParsedKey {
  if (signIn.kind === 'password') return signIn.password;
  const parsed = ssh2.utils.parseKey(signIn.privateKey, signIn.passphrase);
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (key === undefined || key instanceof Error) throw keyUnreadable({ user, why: keyWhy(key?.message ?? '', signIn.passphrase !== undefined) });
  if (!key.isPrivateKey()) throw keyUnreadable({ user, why: 'it is a public key' });
  return key;
}

function keyWhy(says: string, hasPassphrase: boolean): string {
  if (/no passphrase given/i.test(says)) return 'it is encrypted and the credential has no passphrase';
  if (hasPassphrase && /integrity|decrypt|passphrase|malformed/i.test(says)) return 'its passphrase does not fit';
  return 'it is in no known form';
}

type Step = { left: readonly AuthenticationType[] | null; isPartial: boolean; host: string; credential: HostCredential; proof: string | ssh2.ParsedKey; met: Met; client: Client };

/** The next way to sign in; false ends it. The first, `none`, only asks which ways there are. */
function nextProof({ left, isPartial, host, credential, proof, met, client }: Step): object | false {
  const username = credential.user;
  if (left === null) return { type: 'none', username };
  met.offered = left;
  if (met.tried !== undefined) {
    if (isPartial) met.refusal = signInRefused({ host, user: username, way: wayOf(credential), why: `it wants ${left.join(' or ')} besides` });
    return false;
  }
  if (typeof proof !== 'string') {
    if (!left.includes('publickey')) return false;
    met.tried = 'key';
    return { type: 'publickey', username, key: proof };
  }
  if (left.includes('password')) {
    met.tried = 'password';
    return { type: 'password', username, password: proof };
  }
  if (!left.includes('keyboard-interactive')) return false;
  met.tried = 'keyboard-interactive';
  return { type: 'keyboard-interactive', username, prompt: answering(host, credential, proof, met, client) };
}

/** Answers one question for a password. Anything else is refused rather than guessed. */
function answering(host: string, credential: HostCredential, password: string, met: Met, client: Client) {
  const { user } = credential;
  let isAnswered = false;
  return (_name: string, instructions: string, _language: string, prompts: readonly Prompt[], finish: (answers: string[]) => void): void => {
    if (prompts.length === 0) return finish([]);
    const asked = `${instructions} ${prompts.map(({ prompt }) => prompt).join(' ')}`;
    if (/\b(new|current|old|retype|expired)\b/i.test(asked)) met.refusal = passwordExpired({ host, user });
    else if (isAnswered && /password/i.test(asked)) met.refusal = signInRefused({ host, user, way: wayOf(credential), why: 'the password was not accepted' });
    else if (isAnswered || prompts.length > 1 || prompts[0]!.echo === true || !/password/i.test(prompts[0]!.prompt)) met.refusal = promptNotUnderstood({ host, user, prompt: wordsOf(asked, secretsOf(credential)) });
    if (met.refusal !== undefined) return void client.destroy();
    isAnswered = true;
    finish([password]);
  };
}

const wayOf = ({ signIn }: HostCredential): string => (signIn.kind === 'password' ? 'a password' : 'a key');

function refusalOf(error: unknown, { host, credential, signal, signInMs = 30_000 }: ConnectOptions, met: Met): Error {
  if (signal?.aborted === true) return signal.reason as Error;
  const { user, port } = credential;
  const { level, code, message } = error as Error & { level?: string; code?: string };
  if (level === 'client-authentication') {
    const offered = met.offered.length === 0 ? '' : `; it takes ${met.offered.join(', ')}`;
    const why = met.tried === undefined ? `it does not take that${offered}` : met.tried === 'key' ? 'the key was not accepted' : 'the password was not accepted';
    return signInRefused({ host, user, way: wayOf(credential), why }, error);
  }
  if (isFailure(error, deadlinePassed)) {
    if (met.key === null) return hostNotReached({ host, port, why: `no SSH greeting within ${signInMs / 1000} s` }, error);
    return signInRefused({ host, user, way: wayOf(credential), why: `no answer within ${signInMs / 1000} s` }, error);
  }
  return hostNotReached({ host, port, why: whyNotReached(code, message) }, error);
}

const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'the name is not known',
  EAI_AGAIN: 'the name could not be looked up',
  EHOSTUNREACH: 'there is no way to it',
  ENETUNREACH: 'there is no way to its network',
  ETIMEDOUT: 'it does not answer',
  ECONNRESET: 'it cut the connection',
};

function whyNotReached(code: string | undefined, message: string): string {
  return words[code ?? ''] ?? wordsOf(message, []);
}
