/** The service control manager and Windows Installer as another program of the system asks them: other services than the own one. */
import koffi from 'koffi';
import { windowsCallFailed } from './failures.ts';

export type ServiceState = 'stopped' | 'starting' | 'stopping' | 'running' | 'other';
/** `exitCode`: of its last end; 0 where it ended as it was told. */
export type ServiceStanding = { readonly state: ServiceState; readonly pid: number; readonly exitCode: number };

const states: Readonly<Record<number, ServiceState>> = { 1: 'stopped', 2: 'starting', 3: 'stopping', 4: 'running' };
const [CONNECT, QUERY, START, STOP] = [1, 4, 0x10, 0x20];
const [ALREADY_RUNS, UNKNOWN, NOT_ACTIVE] = [1056, 1060, 1062];

function load() {
  const [advapi, kernel, installer] = [koffi.load('advapi32.dll'), koffi.load('kernel32.dll'), koffi.load('msi.dll')];
  return {
    openManager: advapi.func('intptr_t __stdcall OpenSCManagerW(const char16_t *machine, const char16_t *database, uint32 access)'),
    openService: advapi.func('intptr_t __stdcall OpenServiceW(intptr_t manager, const char16_t *name, uint32 access)'),
    query: advapi.func('int __stdcall QueryServiceStatusEx(intptr_t service, int level, _Out_ uint8_t *status, uint32 bytes, _Out_ uint32 *needed)'),
    start: advapi.func('int __stdcall StartServiceW(intptr_t service, uint32 count, void *words)'),
    control: advapi.func('int __stdcall ControlService(intptr_t service, uint32 order, _Out_ uint8_t *status)'),
    close: advapi.func('int __stdcall CloseServiceHandle(intptr_t handle)'),
    related: installer.func('uint32 __stdcall MsiEnumRelatedProductsW(const char16_t *upgradeCode, uint32 reserved, uint32 index, _Out_ uint8_t *product)'),
    systemDirectory: kernel.func('uint32 __stdcall GetSystemDirectoryW(_Out_ uint8_t *path, uint32 characters)'),
    lastError: kernel.func('uint32 __stdcall GetLastError()'),
  };
}

let loaded: ReturnType<typeof load> | undefined;
const calls = (): ReturnType<typeof load> => (loaded ??= load());

/** Undefined where there is no such service. */
function withService<T>(name: string, access: number, work: (service: number | bigint) => T): T | undefined {
  const { openManager, openService, close, lastError } = calls();
  const manager = openManager(null, null, CONNECT) as number | bigint;
  if (Number(manager) === 0) throw windowsCallFailed({ call: 'OpenSCManager', win32: lastError() as number });
  try {
    const service = openService(manager, name, access) as number | bigint;
    if (Number(service) === 0) {
      const win32 = lastError() as number;
      if (win32 === UNKNOWN) return undefined;
      throw windowsCallFailed({ call: `opening the service ${name}`, win32 });
    }
    try {
      return work(service);
    } finally {
      close(service);
    }
  } finally {
    close(manager);
  }
}

export function serviceStanding(name: string): ServiceStanding | undefined {
  return withService(name, QUERY, (service) => {
    const status = Buffer.alloc(36);
    if ((calls().query(service, 0, status, status.length, [0]) as number) === 0) throw windowsCallFailed({ call: `asking for ${name}`, win32: calls().lastError() as number });
    return { state: states[status.readUInt32LE(4)] ?? 'other', exitCode: status.readUInt32LE(12), pid: status.readUInt32LE(28) };
  });
}

/** Does not wait for it to run. One that runs already is left alone. */
export function startService(name: string): void {
  const started = withService(name, START, (service) => ((calls().start(service, 0, null) as number) === 0 ? (calls().lastError() as number) : 0)) ?? UNKNOWN;
  if (started !== 0 && started !== ALREADY_RUNS) throw windowsCallFailed({ call: `starting the service ${name}`, win32: started });
}

/** Does not wait for it to stop. One that does not run is left alone, and one that is not there. */
export function stopService(name: string): void {
  const stopped = withService(name, STOP, (service) => ((calls().control(service, 1, Buffer.alloc(28)) as number) === 0 ? (calls().lastError() as number) : 0)) ?? NOT_ACTIVE;
  if (stopped !== 0 && stopped !== NOT_ACTIVE) throw windowsCallFailed({ call: `stopping the service ${name}`, win32: stopped });
}

/** The codes of what is installed of a family of packages of Windows Installer. */
export function installedProducts(upgradeCode: string): string[] {
  const product = Buffer.alloc(78);
  const found: string[] = [];
  while ((calls().related(upgradeCode, 0, found.length, product) as number) === 0) found.push(product.toString('utf16le', 0, 76));
  return found;
}

/** Where programs of Windows are: `C:\Windows\System32`. */
export function systemDirectory(): string {
  const path = Buffer.alloc(1024);
  const characters = calls().systemDirectory(path, path.length / 2) as number;
  return path.toString('utf16le', 0, characters * 2);
}
