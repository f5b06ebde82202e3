/** What a look at a host tells: the machine, and every mongod that runs on it. */
import * as z from 'zod';

export const fileSystemLook = z.object({
  kind: z.string(),
  mountPoint: z.string(),
  device: z.string(),
  readOnly: z.boolean(),
  freeBytes: z.number().nullable(),
  totalBytes: z.number().nullable(),
  /** Whether files can be cloned there in no time. */
  reflink: z.enum(['yes', 'no', 'unknown']),
});

export const foundMongod = z.object({
  pid: z.int(),
  uid: z.int(),
  binary: z.string(),
  version: z.string().nullable(),
  /** As mongod names it, in its own mounts. */
  dbPath: z.string().nullable(),
  /** Where it listens, learnt from its sockets; what its options say only where those cannot be seen. */
  port: z.int(),
  listening: z.array(z.object({ address: z.string(), port: z.int() })),
  bindIp: z.array(z.string()),
  replicaSet: z.string().nullable(),
  clusterRole: z.enum(['configsvr', 'shardsvr']).nullable(),
  storageEngine: z.string(),
  directoryPerDb: z.boolean(),
  encryptedAtRest: z.boolean(),
  tls: z.enum(['disabled', 'allowTLS', 'preferTLS', 'requireTLS']),
  keyFile: z.string().nullable(),
  configFile: z.string().nullable(),
  journalPath: z.string().nullable(),
  /** The journal is on another file system than the data. */
  journalElsewhere: z.boolean(),
  logPath: z.string().nullable(),
  fileSystem: fileSystemLook.nullable(),
  /** It runs in mounts of its own, as in a container. */
  inContainer: z.boolean(),
  /** What could not be learnt, and why. */
  notes: z.array(z.string()),
});

export const hostLook = z.object({
  hostname: z.string(),
  system: z.string(),
  kernel: z.string(),
  machine: z.string(),
  glibc: z.string().nullable(),
  systemd: z.int().nullable(),
  /** Whether the look was root's: without that, processes of others show little. */
  asRoot: z.boolean(),
  space: z.array(z.object({ path: z.string(), freeBytes: z.number() })),
  mongods: z.array(foundMongod),
});

export type HostLook = z.infer<typeof hostLook>;
export type FoundMongod = z.infer<typeof foundMongod>;
export type FileSystemLook = z.infer<typeof fileSystemLook>;
