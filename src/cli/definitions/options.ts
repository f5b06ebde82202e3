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
  { flags: '--token-file <file>', says: 'file with the access token (TIDEMARK_TOKEN_FILE; otherwise what "tidemark login" keeps)' },
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

export const placeForms = `A place is a directory, a folder on an SMB 3 share (smb://server[:port]/share[/folder]) or a prefix in a bucket of an
S3-compatible store (s3:https://host[:port]/bucket[/prefix]).`;

export const placeOptions: readonly OptionDefinition[] = [
  { flags: '--share-user <name>', says: 'share: the user, also DOMAIN\\user' },
  { flags: '--share-password-file <file>', says: 'share: file with the password' },
  { flags: '--encryption <how>', says: 'share: required, or where the server asks for it (default); signing always', choices: ['required', 'if-offered'] },
  { flags: '--netbios', says: 'share: look the server up by its NetBIOS name, too' },
  { flags: '--access-key <id>', says: 'bucket: the access key\'s id' },
  { flags: '--secret-key-file <file>', says: 'bucket: file with the secret access key' },
  { flags: '--region <name>', says: 'bucket: the region requests are signed for (us-east-1)' },
  { flags: '--sse', says: 'bucket: have the store encrypt with its own keys (AES256), too, and read back that it does' },
  { flags: '--sse-kms-key <id>', says: 'bucket: the same with a key of the store\'s key service (aws:kms)' },
  { flags: '--virtual-host', says: 'bucket: its name is part of the host name, not of the path' },
  { flags: '--ca <file>', says: 'bucket: certificate of the authority of the store (those this machine trusts)' },
];

export const momentForms = `--at takes: latest; the id of a restore point; a time with a zone (2026-11-23T14:05:00+01:00 or …Z; without a
zone it is refused), everything up to the end of that second; a cluster time 1795464567,96, the state just after that
operation; before:1795464567,96, the state just before it.`;
