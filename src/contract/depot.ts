/** What a distribution server is asked and what it answers on 9380 (docs/design/packages.md). */
import * as z from 'zod';
import { packageManifest, packageName, packagePlatform, packageVersion } from './packages.ts';

/** `latest` is a version too. */
export const packageWanted = z.object({ name: packageName, version: packageVersion.or(z.literal('latest')), platform: packagePlatform });
export type PackageWanted = z.infer<typeof packageWanted>;

/** Newest first; `refused` lies in the directory and is not offered. */
export const packageList = z.object({ packages: z.array(packageManifest), refused: z.array(z.object({ file: z.string(), why: z.string() })) }).meta({ id: 'PackageList' });
export type PackageList = z.infer<typeof packageList>;

export const depotKey = z.object({ publicKeyPem: z.string(), version: z.string() });

/** `kit` is what the host needs to enrol, as the server wrote it. */
export const installTokenQuestion = packageWanted.extend({ host: z.string().min(1).max(255), kit: z.string().max(65_536) });
export const installToken = z.object({ token: z.string(), expiresMs: z.number() });

/** A package to the deployer of a host, whose id its certificate names. */
export const sendQuestion = z.object({ host: z.string().min(1).max(255), address: z.string().min(1).max(253), port: z.int().min(1).max(65_535) });
export const sent = z.object({ bytes: z.int() });
