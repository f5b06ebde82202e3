import type { Migration } from 'kysely/migration';
import * as first from './0001-first.ts';
import * as credentials from './0002-credentials.ts';
import * as hosts from './0003-hosts.ts';
import * as services from './0004-services.ts';

/** By name, in alphabetical order. A migration that was released is never changed; the next one mends it. */
export const migrations: Record<string, Migration> = { '0001-first': first, '0002-credentials': credentials, '0003-hosts': hosts, '0004-services': services };
