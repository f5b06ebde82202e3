/**
 * A dynamic port of RPC on Windows. Which one it is now says the endpoint mapper on 135; whether it answers is tried as for any other
 * port, by a bind that nobody signs in with. Windows may refuse that bind, and has answered then.
 */
import { isFailure } from '../base/failure.ts';
import type { ProbeOutcome } from '../contract/ports.ts';
import { mappedPort } from '../windows/endpoint-mapper.ts';
import { openRpc } from '../windows/rpc.ts';
import { serviceControl } from '../windows/service-control.ts';

type Met = { readonly outcome: ProbeOutcome; readonly says: string };

const dynamicFrom = 49_152;

/** `met` says what a connection came to that was not made. `mapperPort` is another one than 135 in tests. */
export async function tryDynamicPort(host: string, options: { eachMs: number; signal: AbortSignal; met: (error: NodeJS.ErrnoException) => Met; mapperPort?: number }): Promise<Met> {
  const { eachMs: deadlineMs, signal, met } = options;
  const found = await mappedPort(serviceControl, { host, port: options.mapperPort, deadlineMs, signal }).catch((error: unknown) => (error as Error).message);
  signal.throwIfAborted();
  if (typeof found === 'string') return { outcome: 'not-tried', says: `which port it is now was not learnt from port 135: ${found}` };
  if (found.kind === 'not-registered') return { outcome: 'not-tried', says: 'port 135 says that service control is not served over TCP there' };
  const { port } = found;
  const named = `port ${port}, which port 135 named${port < dynamicFrom ? ' and which is not one of these,' : ''}`;
  try {
    using _line = await openRpc({ host, port, to: serviceControl, deadlineMs, signal });
    return { outcome: 'good', says: `${named} answers as service control` };
  } catch (error) {
    signal.throwIfAborted();
    if (isFailure(error, { code: 'windows.port-not-reached' })) {
      const { outcome, says } = met(error.cause as NodeJS.ErrnoException);
      return { outcome, says: `${named}: ${says}` };
    }
    // What was not read as an answer of RPC has a cause; a bind that was refused has none.
    if (isFailure(error, { code: 'windows.answer-unusable' }) && error.cause === undefined) return { outcome: 'good', says: `${named} answers RPC, and takes no bind without a sign-in` };
    return { outcome: 'wrong-service', says: `${named}: ${(error as Error).message}` };
  }
}
