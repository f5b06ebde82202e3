/**
 * A program as a service of Windows, without a wrapper: the service control manager is spoken to by its own functions.
 *
 *   the manager starts the program ──▶ open: START_PENDING ──running()──▶ RUNNING ──stop order──▶ STOP_PENDING, `onStop`
 *                                                                            └──────────────ended()──▶ STOPPED, and no process
 *
 * `ended` is the last word: the process ends when it has been said, without what Node does at its end. An uninstaller that
 * saw STOPPED removes the files at once, and Windows does not remove the file of a program that still runs.
 */
import koffi from 'koffi';
import { notAService } from './failures.ts';

export type WindowsService = { running(): void; ended(code: number): void };

const state = { stopped: 1, startPending: 2, stopPending: 3, running: 4 } as const;
const control = { stop: 1, interrogate: 4, shutdown: 5 } as const;
const pendingMs = 120_000;

function load() {
  const main = koffi.proto('void __stdcall ServiceMain(uint32 count, void *words)');
  const handler = koffi.proto('uint32 __stdcall ServiceHandler(uint32 control, uint32 event, void *data, void *context)');
  koffi.struct('ServiceEntry', { name: 'char16_t *', main: koffi.pointer(main) });
  const [advapi, kernel] = [koffi.load('advapi32.dll'), koffi.load('kernel32.dll')];
  return {
    main: koffi.pointer(main),
    handler: koffi.pointer(handler),
    dispatch: advapi.func('int __stdcall StartServiceCtrlDispatcherW(const ServiceEntry *table)'),
    register: advapi.func('void * __stdcall RegisterServiceCtrlHandlerExW(const char16_t *name, ServiceHandler *handler, void *context)'),
    report: advapi.func('int __stdcall SetServiceStatus(void *service, const uint8_t *status)'),
    openManager: advapi.func('void * __stdcall OpenSCManagerW(const char16_t *machine, const char16_t *database, uint32 access)'),
    openService: advapi.func('void * __stdcall OpenServiceW(void *manager, const char16_t *name, uint32 access)'),
    configure: advapi.func('int __stdcall ChangeServiceConfig2W(void *service, uint32 what, const uint8_t *value)'),
    closeService: advapi.func('int __stdcall CloseServiceHandle(void *service)'),
    terminate: kernel.func('int __stdcall TerminateProcess(intptr_t process, uint32 code)'),
    lastError: kernel.func('uint32 __stdcall GetLastError()'),
  };
}

let loaded: ReturnType<typeof load> | undefined;
/** Names of types are given once in a process. */
const callsOf = (): ReturnType<typeof load> => (loaded ??= load());

/** Resolves when the manager has started the service `name` in this process; a process that it did not start is refused. */
export async function openWindowsService(name: string, onStop: () => void): Promise<WindowsService> {
  const calls = callsOf();
  let handle: unknown;
  let now: number = state.startPending;
  const report = (next: number, exitCode = 0): void => {
    now = next;
    calls.report(handle, serviceStatus(next, exitCode));
  };
  const obey = (order: number): number => {
    if (order === control.interrogate) report(now);
    else if ((order === control.stop || order === control.shutdown) && now !== state.stopPending) {
      report(state.stopPending);
      // The manager waits for the answer to its order: the process must not end before that.
      setImmediate(onStop);
    }
    return 0;
  };
  await new Promise<void>((resolve, reject) => {
    const handler = koffi.register(obey, calls.handler);
    const begin = (): void => {
      handle = calls.register(name, handler, null);
      report(state.startPending);
      resolve();
    };
    const table = [{ name, main: koffi.register(begin, calls.main) }, { name: null, main: null }];
    // It returns when the service has stopped, or at once where nobody started it as one.
    calls.dispatch.async(table, (error: Error | null, result: number) => {
      if (error !== null || result === 0) reject(notAService({ name }, error ?? undefined));
    });
  });
  return {
    running: () => report(state.running),
    ended(code) {
      report(state.stopped, code);
      calls.terminate(-1, code);
    },
  };
}

/** SERVICE_STATUS: own process, state, what it accepts, its exit code, and how long the manager waits for the next word. */
export function serviceStatus(now: number, exitCode: number): Buffer {
  const [OWN_PROCESS, ACCEPTS_STOP_AND_SHUTDOWN, SPECIFIC_ERROR] = [0x10, 5, 1066];
  const isPending = now === state.startPending || now === state.stopPending;
  const words = [OWN_PROCESS, now, now === state.running ? ACCEPTS_STOP_AND_SHUTDOWN : 0, exitCode === 0 ? 0 : SPECIFIC_ERROR, exitCode, isPending ? 1 : 0, isPending ? pendingMs : 0];
  const bytes = Buffer.alloc(28);
  words.forEach((word, at) => bytes.writeUInt32LE(word, at * 4));
  return bytes;
}

/** Has the manager start the service again when it ends unasked: after 1, 5 and 30 s, forgotten after an hour without. False where Windows does not let it. */
export function restartWhenItEnds(name: string): boolean {
  const [CONNECT, CHANGE_AND_START, FAILURE_ACTIONS, ALSO_WITH_AN_EXIT_CODE, RESTART] = [1, 0x12, 2, 4, 1];
  const calls = callsOf();
  const manager = calls.openManager(null, null, CONNECT) as unknown;
  const service = calls.openService(manager, name, CHANGE_AND_START) as unknown;
  const actions = Buffer.alloc(24);
  [1_000, 5_000, 30_000].forEach((ms, at) => {
    actions.writeUInt32LE(RESTART, at * 8);
    actions.writeUInt32LE(ms, at * 8 + 4);
  });
  const wanted = Buffer.alloc(40);
  wanted.writeUInt32LE(3600, 0);
  wanted.writeUInt32LE(3, 24);
  wanted.writeBigUInt64LE(BigInt(koffi.address(actions)), 32);
  const isSet = (calls.configure(service, FAILURE_ACTIONS, wanted) as number) !== 0 && (calls.configure(service, ALSO_WITH_AN_EXIT_CODE, Buffer.from([1, 0, 0, 0])) as number) !== 0;
  for (const open of [service, manager]) calls.closeService(open);
  return isSet;
}
