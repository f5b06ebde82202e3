/** Questions that fit one datagram, and what can be known of a port over UDP: an answer, or that somebody refused. */
import { createSocket } from 'node:dgram';
import { randomBytes } from 'node:crypto';
import { isIPv6 } from 'node:net';
import type { ProbeOutcome, ProbeTarget } from '../contract/ports.ts';

type Met = { readonly outcome: ProbeOutcome; readonly says: string };

/** How long a refusal is waited for where no answer would come anyway. */
const silentMs = 300;

/** Resolves with an answer or a refusal; who asks sets the deadline. */
export async function askDatagram(address: string, port: number, service: ProbeTarget['service'], open: Set<{ destroy(): void }>): Promise<Met> {
  const question = service === 'dns' ? dnsQuestion() : service === 'ldap' ? ldapRootSearch : undefined;
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  open.add({ destroy: () => socket.close() });
  return await new Promise<Met>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('message', (bytes) => {
      const isRight = service === 'dns' ? isDnsAnswer(question!, bytes) : service === 'ldap' && isLdapAnswer(bytes);
      resolve(isRight ? { outcome: 'good', says: service === 'dns' ? 'DNS' : 'LDAP' } : { outcome: 'wrong-service', says: `its answer is not one of ${service}` });
    });
    // Connected, so that the kernel hands over what ICMP says of this port.
    socket.connect(port, address, () => {
      socket.send(question ?? Buffer.alloc(0));
      if (question !== undefined) return;
      setTimeout(() => resolve({ outcome: 'not-tried', says: 'nothing answers in this protocol; a datagram was sent and not refused' }), silentMs);
    });
  });
}

/** The name servers of the root: every name server answers that, if only with a refusal. */
export function dnsQuestion(): Buffer {
  return Buffer.concat([randomBytes(2), Buffer.from('01000001000000000000', 'hex'), Buffer.from('0000020001', 'hex')]);
}

/** A response, to this question. */
export function isDnsAnswer(question: Buffer, bytes: Buffer): boolean {
  return bytes.length >= 12 && bytes.readUInt16BE(0) === question.readUInt16BE(0) && (bytes[2]! & 0x80) !== 0;
}

/** `searchRequest` for the object at the root, all attributes left out, as message 1. */
export const ldapRootSearch = Buffer.from('302a020101632504000a01000a0100020100020100010100870b6f626a656374436c61737330050403312e31', 'hex');

/** A message with the number 1. */
export function isLdapAnswer(bytes: Buffer): boolean {
  return bytes[0] === 0x30 && bytes.subarray(1, 12).includes(Buffer.from([0x02, 0x01, 0x01]));
}
