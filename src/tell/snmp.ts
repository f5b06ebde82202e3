/**
 * SNMP notifications, v2c and v3 (authPriv), as trap or as inform; the objects are those of packaging/mibs/TIDEMARK-MIB.txt.
 *
 * The sender of a v3 trap is the authoritative engine (RFC 3414): its boots and time must never go back, or receivers refuse it as
 * replayed. So boots are 1 for ever and time is counted from 2020, through restarts. The package sends 0 for both.
 */
import { lookup } from 'node:dns/promises';
import snmp from 'net-snmp';
import type { ChannelOf, Severity, Told } from '../contract/notifications.ts';
import { notReached } from './failures.ts';
import { oneLine, type Answered, type Sending } from './receiver.ts';

/** Kept by RFC 5612 for examples. */
const root = '1.3.6.1.4.1.32473.1';
const kinds: Readonly<Record<Told['kind'], number>> = { session: 1, alarm: 2, unprotected: 3, protected: 4, summary: 5, digest: 6, test: 7 };
const levels: Readonly<Record<Severity, number>> = { info: 1, notice: 2, warning: 3, error: 4, critical: 5 };
const epochSeconds = 1_577_836_800;
/** Of one text: several of them have to fit into a datagram. */
const textBytes = 255;

/** Five octets of RFC 3411, "octets, administratively assigned", and eight of the server's own. */
export function engineIdFrom(fingerprint: string): string {
  return `80007ed905${fingerprint.toLowerCase().replaceAll(/[^0-9a-f]/g, '').slice(0, 16).padEnd(16, '0')}`;
}

export async function sendSnmp(channel: ChannelOf<'snmp'>, { told, engineId, nowMs, deadlineMs, signal }: Sending): Promise<Answered> {
  const { host, port, inform, version } = channel;
  const receiver = `SNMP manager ${host}:${port}`;
  const { address, family } = await lookup(host).catch((error: Error) => {
    throw notReached({ receiver, why: error.message }, error);
  });
  const options = { port, trapPort: port, transport: family === 6 ? ('udp6' as const) : ('udp4' as const), timeout: Math.floor(deadlineMs / 4), retries: 2 };
  const session =
    version.kind === 'v2c'
      ? snmp.createSession(address, version.community, { ...options, version: snmp.Version2c })
      : snmp.createV3Session(address, { name: version.user, level: snmp.SecurityLevel.authPriv, authProtocol: snmp.AuthProtocols[version.auth]!, authKey: version.authPassword, privProtocol: snmp.PrivProtocols['aes']!, privKey: version.privPassword }, { ...options, version: snmp.Version3, engineID: engineId });
  if (version.kind === 'v3' && !inform) {
    const send = session.send.bind(session);
    session.send = (request, noWait) => {
      Object.assign(request.message.msgSecurityParameters!, { msgAuthoritativeEngineBoots: 1, msgAuthoritativeEngineTime: Math.floor(nowMs / 1000) - epochSeconds });
      send(request, noWait);
    };
  }
  try {
    await new Promise<void>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      session.on('error', reject);
      session[inform ? 'inform' : 'trap'](`${root}.0.${kinds[told.kind]}`, varbinds(told), {}, (error) => (error === null ? resolve() : reject(error)));
    });
  } catch (error) {
    signal.throwIfAborted();
    throw notReached({ receiver, why: oneLine((error as Error).message) }, error);
  } finally {
    session.close();
  }
  return { says: inform ? `${receiver} acknowledged it` : `sent to ${receiver}; a trap has no answer` };
}

function varbinds({ id, title, lines, severity, object, session, count }: Told) {
  const text = (column: number, value: string) => ({ oid: `${root}.1.${column}.0`, type: snmp.ObjectType.OctetString, value: cut(oneLine(value)) });
  return [
    text(1, id),
    { oid: `${root}.1.2.0`, type: snmp.ObjectType.Integer, value: levels[severity] },
    text(3, title),
    text(4, lines.join('; ')),
    text(5, object === null ? '' : `${object.kind}:${object.name}`),
    text(6, session?.id ?? ''),
    text(7, session?.state ?? ''),
    { oid: `${root}.1.8.0`, type: snmp.ObjectType.Unsigned32, value: count },
  ];
}

function cut(text: string): string {
  let short = text;
  while (Buffer.byteLength(short) > textBytes) short = short.slice(0, Math.floor((short.length * textBytes) / Buffer.byteLength(short)));
  return short.toWellFormed();
}
