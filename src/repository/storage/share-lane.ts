/**
 * A share child as its storage sees it: orders are answered in order, each within its time.
 *
 *   connecting ── signed in ──▶ ready ── order ──▶ at work ── answer ──▶ ready
 *       │                         └──── no answer in time, `broken`, the process is gone ────▶ lost
 *       └── refused, not reached ──▶ lost
 *
 * What is lost stays lost: what was under way fails with `repository.share-unreachable`, and whether the server has done it
 * is for the caller to find out. The password goes through the pipe, and stands neither in arguments nor in the environment.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { lookup } from 'node:dns/promises';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { libraryMissing } from '../../base/failures.ts';
import type { SmbSettings } from '../../base/smb-client.ts';
import { shareMissing, shareRefused, shareUnreachable } from '../failures.ts';
import type { Slot, SlotUser } from './share-memory.ts';
import { encodeFrame, openFrames, type Refusal, type ShareAnswer, type ShareOrder } from './share-wire.ts';

export type Answered = { readonly answer: Extract<ShareAnswer, { ok: true }>; readonly body: Buffer };

/** The server has said no. Of a lane's own use: what it means for an object is said by the storage. */
export class Refused extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal, why: string) {
    super(why);
    this.refusal = refusal;
  }
}

export function isRefused(error: unknown, ...refusals: readonly Refusal[]): error is Refused {
  return error instanceof Refused && refusals.includes(error.refusal);
}

export type ShareLane = {
  /** Orders without an answer yet. */
  readonly pending: number;
  readonly isLost: boolean;
  /** Files that it may have open for reading. */
  readonly reading: ReadonlySet<string>;
  /** Resolves when it is signed in. */
  readonly ready: Promise<void>;
  /** What is asked has its bytes in a slot, or in a body that is sent. */
  ask(order: ShareOrder, sent?: { readonly body?: Uint8Array; readonly slot?: Slot | undefined }): Promise<Answered>;
  /** Ends the process, whatever it does. */
  end(why: string): void;
  readonly ended: Promise<void>;
};

type Pending = { readonly order: ShareOrder; readonly slot: Slot | undefined; resolve(answered: Answered): void; reject(error: Error): void };

export type LaneOptions = { readonly place: string; /** What it shares with the child, as an open file. */ readonly memory: number; readonly settings: SmbSettings; /** Of an order without a time of its own. */ readonly answerMs: number };

const connectMs = 30_000;
/** A folder is listed in one answer, and may have 100,000 objects. */
const listMs = 10 * 60_000;

export function openShareLane({ place, memory, settings, answerMs }: LaneOptions): ShareLane {
  const child = start(memory);
  const wire = child.stdio[3] as Duplex;
  const pending: Pending[] = [];
  const gone = Promise.withResolvers<void>();
  const user: SlotUser = { ended: gone.promise };
  let lost: Error | undefined;
  let isRefused = false;
  let timer: NodeJS.Timeout | undefined;
  const reading = new Set<string>();

  const lose = (error: Error): void => {
    if (lost !== undefined) return;
    lost = error;
    clearTimeout(timer);
    child.kill('SIGKILL');
    for (const { reject } of pending.splice(0)) reject(error);
  };
  const unreachable = (why: string): Error => shareUnreachable({ place, why });

  const watch = (): void => {
    clearTimeout(timer);
    const [first] = pending;
    if (first === undefined) return;
    const ms = first.order.do === 'connect' ? connectMs : first.order.do === 'list' ? listMs : answerMs;
    timer = setTimeout(() => lose(unreachable(`no answer to "${first.order.do}" for ${ms / 1000} s`)), ms);
  };

  const take = openFrames<ShareAnswer>((answer, body) => {
    // A child that was not let in has nothing to say to what was asked of it behind that.
    if (isRefused) return;
    const asked = pending.shift();
    watch();
    asked?.slot?.users.delete(user);
    if (asked === undefined) return lose(unreachable('its child answered what nobody asked'));
    if (answer.ok) return asked.resolve({ answer, body });
    if (asked.order.do !== 'connect' && answer.refusal !== 'broken') return asked.reject(new Refused(answer.refusal, answer.why));
    const end = (error: Error): void => {
      asked.reject(error);
      lose(error);
    };
    if (asked.order.do !== 'connect') return end(unreachable(answer.why));
    isRefused = true;
    void whyNotConnected(answer.refusal, answer.why, place, settings).then(end);
  });
  wire.on('data', take);
  wire.on('error', () => {});
  child.once('error', (error) => {
    lose(unreachable(error.message));
    gone.resolve();
  });
  child.once('exit', (code, signal) => {
    lose(unreachable(`its child ended with ${signal ?? `exit code ${code}`}`));
    gone.resolve();
  });

  const ask: ShareLane['ask'] = async (order, { body, slot } = {}) =>
    await new Promise((resolve, reject) => {
      if (lost !== undefined) return reject(lost);
      if (order.do === 'read' && order.keep) reading.add(order.path);
      else if (order.do === 'forget' && order.path !== null) reading.delete(order.path);
      else if (order.do === 'forget') reading.clear();
      slot?.users.add(user);
      pending.push({ order, slot, resolve, reject });
      if (pending.length === 1) watch();
      wire.write(encodeFrame(order, body));
      if (body !== undefined && body.length > 0) wire.write(body);
    });
  const ready = ask({ do: 'connect', settings }).then(() => {});
  ready.catch(() => {});

  return {
    get pending() {
      return pending.length;
    },
    get isLost() {
      return lost !== undefined;
    },
    reading,
    ready,
    ask,
    end: (why) => lose(unreachable(why)),
    ended: gone.promise,
  };
}

/** Its environment is empty: no settings of a user of this machine are read. */
function start(memory: number): ChildProcess {
  return spawn(process.execPath, [fileURLToPath(new URL('./share-child.ts', import.meta.url))], { stdio: ['ignore', 'ignore', 'ignore', 'pipe', memory], env: { HOME: '/nonexistent' } });
}

async function hasAddress(server: string): Promise<boolean> {
  return await lookup(server).then(() => true, () => false);
}

async function whyNotConnected(refusal: Refusal, why: string, place: string, { server, user, domain, share, netbios }: SmbSettings): Promise<Error> {
  switch (refusal) {
    case 'no-library':
      return libraryMissing({ library: 'libsmbclient', debian: 'libsmbclient', redHat: 'libsmbclient', why });
    case 'not-allowed':
      return shareRefused({ place, user: domain === '' ? user : `${domain}\\${user}`, why });
    case 'missing': {
      // The library has one word for a share and for a server that are not there.
      const isKnown = netbios || (await hasAddress(server));
      return isKnown ? shareMissing({ place, share }) : shareUnreachable({ place, why: `no address is known for ${server}` });
    }
    case 'exists':
    case 'busy':
    case 'full':
      return shareUnreachable({ place, why });
    case 'broken':
      // What the library says of a name that nobody answered to.
      if (why.endsWith('EINVAL') && !(await hasAddress(server))) return shareUnreachable({ place, why: `no address is known for ${server}${netbios ? ', nor does anybody answer to that NetBIOS name' : ''}` });
      return shareUnreachable({ place, why });
  }
}
