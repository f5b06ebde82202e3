import type { OptionDefinition } from '../command.ts';

export const json: OptionDefinition = { flags: '--json', says: 'print the answer as one JSON document; progress and messages go to stderr' };
export const detach: OptionDefinition = { flags: '--detach', says: 'print the session id and return; the work goes on' };
export const reason: OptionDefinition = { flags: '--reason <text>', says: 'why, for the audit' };
export const plan: OptionDefinition = { flags: '--plan', says: 'only print the plan (this is the default)' };
export const apply: OptionDefinition = { flags: '--apply', says: 'carry out the plan' };
export const at: OptionDefinition = { flags: '--at <moment>', says: 'latest, a point\'s id, 2026-11-23T14:05:00Z, 1795464567,96 or before:1795464567,96', required: true };

export const fromRepository: OptionDefinition = { flags: '--repository <name>', says: 'read from the archive of the set in this repository; the set\'s own may be gone' };

export const connection: readonly OptionDefinition[] = [
  { flags: '--server <url>', says: 'the server (TIDEMARK_SERVER; otherwise the one that "tidemark up" runs here)' },
  { flags: '--token-file <file>', says: 'file with the access token (TIDEMARK_TOKEN_FILE)' },
  { flags: '--ca-file <file>', says: 'certificate authority of the server (TIDEMARK_CA_FILE; otherwise ca.pem beside the token file)' },
];

/** How to sign in to a database, for `set add` and `--into`. */
export const databaseSignIn: readonly OptionDefinition[] = [
  { flags: '--user <name>', says: 'database user' },
  { flags: '--password-file <file>', says: 'file with that user\'s password' },
  { flags: '--auth-source <database>', says: 'database the user is kept in (admin)' },
  { flags: '--x509 <file>', says: 'sign in with this client certificate and key (PEM)' },
  { flags: '--tls', says: 'encrypt the connection' },
  { flags: '--tls-ca <file>', says: 'certificate authority of the database servers; implies --tls' },
  { flags: '--tls-certificate <file>', says: 'client certificate and key (PEM) for the connection; implies --tls' },
];

export const momentForms = `--at takes: latest; the id of a restore point; a time with a zone (2026-11-23T14:05:00+01:00 or …Z; without a
zone it is refused), everything up to the end of that second; a cluster time 1795464567,96, the state just after that
operation; before:1795464567,96, the state just before it.`;
