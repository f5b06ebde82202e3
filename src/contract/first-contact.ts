/**
 * The installer service of a Windows host (11731) during a first contact (docs/design/windows-first-contact.md): what is put beside
 * it, and what the server asks it. Each question is one POST over mutual TLS; after the first, each shows the ticket that it was
 * answered with.
 */
import * as z from 'zod';
import { packageVersion, pieceBytes, signedManifest } from './packages.ts';
import { hostKit } from './routes/hosts.ts';

const hash = z.string().regex(/^[0-9a-f]{64}$/);

/** `contact.json`: nothing in it is secret. Whoever reads it can neither answer the server nor give the installer an order. */
export const contactFile = z.object({
  kind: z.literal('tidemark-first-contact'),
  /** The name of the folder that it was put to. */
  folder: z.string().regex(/^TidemarkInstaller-[0-9a-f]{32}$/),
  /** The host's id. */
  host: z.string(),
  /** SHA-256 of the token that the server shows once. */
  tokenHash: hash,
  /** Of servers it obeys. */
  caPem: z.string(),
  /** What packages are signed with. */
  packageKey: z.string(),
  port: z.int().min(1).max(65_535),
  expiresAtMs: z.number(),
});
export type ContactFile = z.infer<typeof contactFile>;

const ticket = z.string().max(100);

export const firstContact = {
  '/begin': { input: z.object({ token: z.string().max(100) }), output: z.object({ ticket, hostname: z.string(), system: z.string(), machine: z.string(), platform: z.string(), freeBytes: z.number() }) },
  /** Shows a package; answers how many of its bytes are here. */
  '/offer': { input: z.object({ ticket, package: signedManifest }), output: z.object({ have: z.int() }) },
  '/piece': { input: z.object({ ticket, offset: z.int().min(0), base64: z.string().max(Math.ceil(pieceBytes / 3) * 4) }), output: z.object({ have: z.int() }) },
  /** Lays the kit down, installs the package and answers when Windows Installer has ended. */
  '/install': { input: z.object({ ticket, kit: hostKit, deployerPort: z.int().min(1).max(65_535) }), output: z.object({ version: packageVersion }) },
  /** It is not needed any more: it ends. */
  '/end': { input: z.object({ ticket }), output: z.object({}) },
} as const;

export type ContactPath = keyof typeof firstContact;
/** Of a whole question. */
export const contactBytes = 8 << 20;

/** Where it listens. */
export const installerPort = 11_731;
/** Of the service. */
export const installerName = 'TidemarkInstaller';
/** What the names of its folders in ADMIN$ begin with; 32 hexadecimal digits follow, drawn for each contact. */
export const installerFolderPrefix = `${installerName}-`;
