/** The port plan as it crosses processes: what is planned, what a try of it met, and what names lead to. */
import * as z from 'zod';

export const portRange = z.object({ from: z.int().min(1).max(65535), to: z.int().min(1).max(65535) });
export const transportProtocol = z.enum(['tcp', 'udp']);
export const portService = z.enum(['ssh', 'tidemark', 'data', 'mongod', 'dns', 'ldap', 'ldap-starttls', 'ldaps', 'smb', 'postgresql', 'smtp', 'https', 'http', 'tcp', 'silent', 'rpc']);

/** What a host is to try. `service` says what must answer there. */
export const probeTarget = z.object({ host: z.string().min(1).max(255), port: z.int().min(1).max(65535), protocol: transportProtocol, service: portService });

/**
 * What a try met. `wrong-service`: something accepts there and is not what is wanted; `tls-refused`: it speaks TLS, and one side
 * does not accept the other; `not-tried`: nothing that could be tried would prove anything.
 */
export const probeOutcome = z.enum(['good', 'refused', 'timed-out', 'no-route', 'name-not-resolved', 'wrong-service', 'tls-refused', 'not-tried']);

export const probeResult = z.object({ outcome: probeOutcome, says: z.string(), address: z.string().nullable(), ms: z.number() });

export const portParty = z.object({ kind: z.enum(['server', 'host', 'outside', 'network']), name: z.string(), dial: z.string(), addresses: z.array(z.string()) });

export const portRow = z
  .object({
    row: z.int().meta({ description: 'number of the row in docs/reference/ports.md' }),
    from: portParty,
    to: portParty,
    protocol: transportProtocol,
    ports: z.array(portRange),
    service: portService,
    purpose: z.string(),
    changedBy: z.string(),
    optional: z.boolean().meta({ description: 'works without it, slower or with less' }),
  })
  .meta({ id: 'PortRow' });

export const portFinding = z
  .object({
    /** `no-link`: a host that would have to try it, or to listen, takes no orders now. */
    outcome: z.enum([...probeOutcome.options, 'no-link']),
    /** The port that the outcome is about; null when it is about all of them. */
    port: z.int().nullable(),
    says: z.string(),
  })
  .meta({ id: 'PortFinding' });

export const checkedRow = portRow.extend(portFinding.shape).meta({ id: 'CheckedPortRow' });

/** docs/design/dns.md says what each means. `short-name` is said and not held against the plan. */
export const nameKind = z.enum(['good', 'missing-forward', 'missing-reverse', 'wrong-forward', 'mismatch', 'several-reverse', 'short-name', 'search-list', 'no-answer', 'server-dead', 'server-cut-short', 'servers-differ', 'host-differs', 'host-slow', 'srv', 'txt']);

/** How a host asks for names: its `/etc/resolv.conf`. */
export const resolverSettings = z.object({ servers: z.array(z.string()), search: z.array(z.string()), timeoutSeconds: z.int(), attempts: z.int() });

/** What a host's own resolver made of a name; `says` is why there is no address. */
export const ownName = z.object({ name: z.string(), addresses: z.array(z.string()), says: z.string().nullable(), ms: z.number() });

export const nameFinding = z
  .object({
    machine: z.string().meta({ description: 'the machine, the set or the name server that it is about' }),
    kind: nameKind,
    name: z.string(),
    address: z.string().nullable(),
    says: z.string(),
    /** The record that would mend it, as it is written in a zone file. */
    record: z.string().nullable(),
  })
  .meta({ id: 'NameFinding' });

export const exportFormats = ['nftables', 'iptables', 'firewalld', 'ufw', 'netsh', 'csv', 'json'] as const;

export type ProbeTarget = z.infer<typeof probeTarget>;
export type ProbeResult = z.infer<typeof probeResult>;
export type ProbeOutcome = z.infer<typeof probeOutcome>;
export type PortRowAnswer = z.infer<typeof portRow>;
export type CheckedRow = z.infer<typeof checkedRow>;
export type PortFinding = z.infer<typeof portFinding>;
export type NameFinding = z.infer<typeof nameFinding>;
export type OwnName = z.infer<typeof ownName>;
export type ExportFormat = (typeof exportFormats)[number];
