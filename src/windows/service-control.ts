/** Service control of a Windows host (MS-SCMR) over a line of its own, sealed. Every call may be given twice. */
import { answerUnusable, serviceCallFailed } from './failures.ts';
import { mappedPort } from './endpoint-mapper.ts';
import { NdrWriter, type NdrReader } from './ndr.ts';
import type { Account } from './ntlm.ts';
import type { Interface } from './pdu.ts';
import { openRpc } from './rpc.ts';

export const serviceControl: Interface = { uuid: '367abb81-9844-35f1-ad32-98f038001003', major: 2, minor: 0 };

export const serviceStates = ['stopped', 'start-pending', 'stop-pending', 'running', 'continue-pending', 'pause-pending', 'paused'] as const;
export type ServiceState = (typeof serviceStates)[number];
export type Standing = { readonly state: ServiceState; /** What it gave when it ended. */ readonly exitCode: number; readonly ownExitCode: number };

/** A service that does not exist is an answer. */
export type RemoteServices = {
  create(service: { name: string; title: string; command: string }): Promise<'created' | 'exists'>;
  start(name: string): Promise<'started' | 'runs-already' | 'unknown'>;
  standing(name: string): Promise<Standing | 'unknown'>;
  stop(name: string): Promise<'told' | 'not-running' | 'unknown'>;
  remove(name: string): Promise<'removed' | 'unknown'>;
};

const opnum = { close: 0, control: 1, delete: 2, status: 6, create: 12, openManager: 15, open: 16, start: 19 } as const;
const access = { all: 0xf01ff, manager: 0x3 } as const;
/** Of its own process, started by hand, an error at its start logged. */
const kindOf = { ownProcess: 0x10, onDemand: 3, errorNormal: 1, stop: 1 } as const;
export const win32 = { unknown: 1060, exists: 1073, markedForDelete: 1072, runsAlready: 1056, notActive: 1062, denied: 5 } as const;
const words: Readonly<Record<number, string>> = { 2: 'the program was not found', 5: 'access denied', 1053: 'the service did not answer to its start in time', 1058: 'the service is disabled', 1060: 'there is no such service', 1069: 'the service could not sign in', 1072: 'the service is marked for deletion', 1073: 'the service exists already' };

export type ControlPlace = { readonly host: string; readonly account: Account; readonly deadlineMs?: number; readonly signal?: AbortSignal; /** Another port of the endpoint mapper, in tests. */ readonly mapperPort?: number };
export type RpcServices = RemoteServices & { /** Where it was found. */ readonly port: number; close(): void; [Symbol.dispose](): void };

export async function openServiceControl(place: ControlPlace): Promise<RpcServices> {
  const { host, account, deadlineMs, signal } = place;
  const found = await mappedPort(serviceControl, { host, port: place.mapperPort, deadlineMs, signal });
  if (found.kind === 'not-registered') throw answerUnusable({ host, what: 'a question for a port', why: 'service control is not served over TCP there' });
  const rpc = await openRpc({ host, port: found.port, to: serviceControl, account, deadlineMs, signal });
  const fail = (what: string, status: number): Error => serviceCallFailed({ host, what, status, why: words[status] ?? 'see the number' });
  const ask = async <T>(what: string, op: number, stub: Buffer, read: (answer: NdrReader) => T): Promise<{ status: number; value: T }> =>
    await rpc.call(what, op, stub, (answer) => {
      const value = read(answer);
      return { value, status: answer.u32() };
    });
  const handleOf = (answer: NdrReader): Buffer => answer.handle();
  const close = async (handle: Buffer): Promise<void> => void (await ask('a handle to be closed', opnum.close, new NdrWriter().handle(handle).done(), handleOf));
  const manager = await ask('service control to be opened', opnum.openManager, new NdrWriter().optionalText(null).optionalText(null).u32(access.manager).done(), handleOf);
  if (manager.status !== 0) {
    rpc.close();
    throw fail('opening service control', manager.status);
  }
  /** Does it with the service's handle, or answers that there is none. */
  const withService = async <T>(name: string, work: (handle: Buffer) => Promise<T>): Promise<T | 'unknown'> => {
    const service = await ask(`${name} to be opened`, opnum.open, new NdrWriter().handle(manager.value).text(name).u32(access.all).done(), handleOf);
    if (service.status === win32.unknown) return 'unknown';
    if (service.status !== 0) throw fail(`opening the service ${name}`, service.status);
    try {
      return await work(service.value);
    } finally {
      await close(service.value).catch(() => {});
    }
  };
  /** Does it, and answers by its status; any that is not named is a failure. */
  const plain = async <const T extends string>(what: string, op: number, stub: Buffer, answers: Readonly<Record<number, T>>, read: (answer: NdrReader) => unknown = () => {}): Promise<T> => {
    const { status } = await ask(what, op, stub, read);
    const answer = answers[status];
    if (answer === undefined) throw fail(what, status);
    return answer;
  };
  return {
    port: found.port,
    async create({ name, title, command }) {
      const stub = new NdrWriter().handle(manager.value).text(name).optionalText(title).u32(access.all).u32(kindOf.ownProcess).u32(kindOf.onDemand).u32(kindOf.errorNormal).text(command);
      // No group, no tag, no dependencies, the account of the system, no password.
      for (let k = 0; k < 3; k++) stub.pointer(false);
      const { status, value } = await ask(`${name} to be created`, opnum.create, stub.u32(0).pointer(false).pointer(false).u32(0).done(), (answer) => {
        answer.u32();
        return answer.handle();
      });
      if (status === win32.exists) return 'exists';
      if (status !== 0) throw fail(`creating the service ${name}`, status);
      await close(value);
      return 'created';
    },
    start: async (name) => await withService(name, async (handle) => await plain(`starting ${name}`, opnum.start, new NdrWriter().handle(handle).u32(0).pointer(false).done(), { 0: 'started', [win32.runsAlready]: 'runs-already' })),
    standing: async (name) =>
      await withService(name, async (handle) => {
        const { status, value } = await ask(`the state of ${name}`, opnum.status, new NdrWriter().handle(handle).done(), readStanding);
        if (status !== 0) throw fail(`the state of ${name}`, status);
        return value;
      }),
    stop: async (name) => await withService(name, async (handle) => await plain(`stopping ${name}`, opnum.control, new NdrWriter().handle(handle).u32(kindOf.stop).done(), { 0: 'told', [win32.notActive]: 'not-running' }, readStanding)),
    remove: async (name) => await withService(name, async (handle) => await plain(`deleting ${name}`, opnum.delete, new NdrWriter().handle(handle).done(), { 0: 'removed', [win32.markedForDelete]: 'removed' })),
    close: () => rpc.close(),
    [Symbol.dispose]: () => rpc.close(),
  };
}

export function readStanding(answer: NdrReader): Standing {
  answer.u32();
  const state = serviceStates[answer.u32() - 1] ?? 'stopped';
  answer.u32();
  const [exitCode, ownExitCode] = [answer.u32(), answer.u32()];
  answer.u32();
  answer.u32();
  return { state, exitCode, ownExitCode };
}
