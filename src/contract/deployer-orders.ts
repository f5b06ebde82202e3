/** Orders of the deployer service (docs/design/deployer.md). A package's bytes come in pieces; what is installed is offered first. */
import * as z from 'zod';
import { promptMs } from './link/silence.ts';
import { hostKit } from './routes/hosts.ts';
import { serverAddress } from './values.ts';
import { packageName, packageVersion, pieceBytes, signedManifest } from './packages.ts';

/** The packages a deployer installs. */
const installable = packageName.exclude(['tidemark-server', 'tidemark-depot']);

/** The settings of a service, and what its service manager grants it beyond the unit's own rights. */
export const serviceSettings = z.object({
  /** Fields that take the place of those in its file; the others stay as they are. */
  settings: z.record(z.string(), z.unknown()),
  /** Laid down where the service redeems it when it starts. */
  kit: hostKit.optional(),
  /** `restore` lets the transport lay down files for other users and start their mongods. Left out: as it is. */
  rights: z.enum(['read', 'restore']).optional(),
});

const step = z.object({ step: z.string() });
const installed = z.object({ name: packageName, version: packageVersion, before: packageVersion.nullable() });

/** Where all servers on the catalog are reached, in place of what the service knew before. */
export const serversTold = { input: z.object({ servers: z.array(serverAddress).max(100) }), output: z.object({}), deadlineMs: promptMs } as const;

export const deployerOrders = {
  /** Who answers, which packages are here and how their services fare. */
  'deployer.describe': {
    input: z.object({}),
    output: z.object({
      version: z.string(),
      contract: z.int(),
      hostname: z.string(),
      platform: z.string(),
      timeMs: z.number(),
      packages: z.array(z.object({ name: packageName, version: packageVersion.nullable(), kept: z.array(packageVersion), service: z.string() })),
      /** What is being done, or null. */
      busy: z.string().nullable(),
      /** How the last installation, update or removal ended. */
      last: z.object({ what: z.string(), atMs: z.number(), ok: z.boolean(), says: z.string() }).nullable(),
    }),
    deadlineMs: promptMs,
  },
  /** As `host.servers` tells the transport. */
  'deployer.servers': serversTold,
  /** Shows a package before its bytes are sent; refused when its signature, platform or version is. Answers how many bytes are here. */
  'deployer.offer': { input: z.object({ package: signedManifest }), output: z.object({ have: z.int() }), deadlineMs: promptMs },
  /** The next bytes of an offered package, base64. A piece that is here already is answered and dropped. */
  'deployer.piece': { input: z.object({ sha256: z.string(), offset: z.int().min(0), base64: z.string().max(Math.ceil(pieceBytes / 3) * 4) }), output: z.object({ have: z.int() }), deadlineMs: 60_000 },
  /** Installs a package that is not here, writes its settings if there are any given, and starts its service. */
  'deployer.install': { input: z.object({ package: signedManifest, service: serviceSettings.optional() }), output: installed, event: step, deadlineMs: 600_000 },
  /** Another version of a package: running sessions end first, and a version that does not become healthy is taken back. */
  'deployer.update': {
    input: z.object({ package: signedManifest, sessionsWithinMs: z.int().min(0).max(10_800_000).default(3_600_000) }),
    output: installed,
    event: step,
    deadlineMs: 11_400_000,
  },
  /**
   * Changes a service's settings and restarts it once its running tasks have ended. Settings with which it does not start are
   * taken back; those of the deployer itself as well when the server does not come back to it.
   */
  'deployer.configure': {
    input: z.object({ name: installable, service: serviceSettings, sessionsWithinMs: z.int().min(0).max(10_800_000).default(0) }),
    output: z.object({}),
    event: step,
    deadlineMs: 11_400_000,
  },
  /** Stops a service and removes its package; with `data`, its settings, its user and what it kept as well. */
  'deployer.remove': { input: z.object({ name: installable.exclude(['tidemark-deployer']), data: z.boolean() }), output: z.object({}), event: step, deadlineMs: 120_000 },
  /** Removes everything Tidemark put on this host, this service last of all: its link ends soon after the answer. */
  'deployer.uninstall-all': { input: z.object({}), output: z.object({}), event: step, deadlineMs: 300_000 },
} as const;
