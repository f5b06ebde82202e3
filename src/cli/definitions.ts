import type { CommandDefinition } from './command.ts';
import { checkCommands } from './definitions/checks.ts';
import { copyCommands } from './definitions/copies.ts';
import { credentialCommands } from './definitions/credentials.ts';
import { directoryCommands } from './definitions/directory.ts';
import { groupCommands } from './definitions/groups.ts';
import { hookCommands } from './definitions/hooks.ts';
import { machineCommands } from './definitions/machine.ts';
import { nodeCommands } from './definitions/nodes.ts';
import { notificationCommands } from './definitions/notifications.ts';
import { packageCommands } from './definitions/packages.ts';
import { peopleCommands } from './definitions/people.ts';
import { policyCommands } from './definitions/policies.ts';
import { pointCommands } from './definitions/points.ts';
import { portCommands } from './definitions/ports.ts';
import { repositoryCommands } from './definitions/repositories.ts';
import { restoreCommands } from './definitions/restores.ts';
import { serverCommands } from './definitions/servers.ts';
import { sessionCommands } from './definitions/sessions.ts';
import { setCommands } from './definitions/sets.ts';

/** Every command, in the order in which help and reference show them. */
export const definitions: readonly CommandDefinition[] = [
  ...machineCommands.filter((command) => command.name !== 'completion'),
  ...serverCommands,
  ...setCommands,
  ...credentialCommands,
  ...groupCommands,
  ...nodeCommands,
  ...packageCommands,
  ...policyCommands,
  ...checkCommands,
  ...pointCommands,
  ...restoreCommands,
  ...repositoryCommands,
  ...copyCommands,
  ...sessionCommands,
  ...hookCommands,
  ...notificationCommands,
  ...portCommands,
  ...peopleCommands,
  ...directoryCommands,
  ...machineCommands.filter((command) => command.name === 'completion'),
];

/** What a noun is about, for `tidemark --help`. */
export const nouns: Readonly<Record<string, string>> = {
  server: 'the backup server itself',
  set: 'replica sets under protection',
  group: 'what is protected together, and how it is reached',
  credential: 'how to sign in to hosts and databases',
  node: 'hosts that work for the server',
  package: 'the services\' packages in the distribution server',
  backup: 'make a restore point',
  oplog: 'search the archived oplog',
  policy: 'what is backed up by itself, and when',
  check: 'what must be in a set, asked of its restore points',
  retention: 'which restore points go, and which stay',
  point: 'restore points',
  restore: 'bring back a moment',
  publish: 'look at a moment without copying it',
  repository: 'where backups are kept',
  copy: 'backups kept once more in another repository',
  session: 'work that runs or ran',
  hook: 'programs that run before and after backups',
  notification: 'who is told what, and how',
  report: 'how sets stand against their promise',
  user: 'who may sign in',
  'second-factor': 'one\'s own authenticator',
  role: 'what users may do',
  token: 'how programs sign in',
  audit: 'what people did',
  directory: 'Active Directory or LDAP: its users, groups and computers',
  ports: 'which machine must reach which, and whether it does',
};
