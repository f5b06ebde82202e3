import { failure } from '../base/failure.ts';

export const hostNotReached = failure<{ host: string; port: number; why: string }>('ssh.host-not-reached', {
  says: ({ host, port, why }) => `no SSH connection to ${host} on port ${port}: ${why}`,
  hint: 'See that sshd runs there, and that its port is the one of the credential and open for this machine.',
  retry: 'later',
});

export const hostUntrusted = failure<{ host: string; type: string; offered: string }>('ssh.host-untrusted', {
  says: ({ host, type, offered }) => `nobody has admitted ${host} yet; it shows the ${type} key ${offered}`,
  hint: ({ host }) => `Compare it with "ssh-keygen -lf" of the host's public key on the host itself, then run "tidemark node trust ${host} --apply".`,
  retry: 'never',
});

export const hostKeyChanged = failure<{ host: string; recorded: string; offered: string }>('ssh.host-key-changed', {
  says: ({ host, recorded, offered }) => `${host} shows the key ${offered}, and the one on record is ${recorded}`,
  hint: 'Somebody may stand between. Only when you know that the host was set up anew: compare the key there, then run "tidemark node trust".',
  retry: 'never',
});

export const signInRefused = failure<{ host: string; user: string; way: string; why: string }>('ssh.sign-in-refused', {
  says: ({ host, user, way, why }) => `${host} refused to sign in ${user} with ${way}: ${why}`,
  hint: 'Check user and secret, and that sshd of the host allows this way to sign in.',
  retry: 'never',
});

export const promptNotUnderstood = failure<{ host: string; user: string; prompt: string }>('ssh.prompt-not-understood', {
  says: ({ host, user, prompt }) => `${host} asks ${user} for something other than a password: ${prompt}`,
  hint: 'Use a key, or an account that needs nothing but a password.',
  retry: 'never',
});

export const passwordExpired = failure<{ host: string; user: string }>('ssh.password-expired', {
  says: ({ host, user }) => `the password of ${user} on ${host} has expired`,
  hint: 'Sign in by hand and change it, then change the credential.',
  retry: 'never',
});

export const keyUnreadable = failure<{ user: string; why: string }>('ssh.key-unreadable', {
  says: ({ user, why }) => `the private key of ${user} cannot be used: ${why}`,
  hint: 'Give an OpenSSH or PEM private key, and its passphrase if it has one.',
  retry: 'never',
});

export const shellNoisy = failure<{ host: string; user: string; printed: string }>('ssh.shell-noisy', {
  says: ({ host, user, printed }) => `the shell of ${user} on ${host} prints before it runs anything: ${printed}`,
  hint: 'Make the profile (.bashrc and the like) of that user silent where no terminal is, or use another user.',
  retry: 'never',
});

export const hostRunsWindows = failure<{ host: string; shell: string }>('ssh.host-runs-windows', {
  says: ({ host, shell }) => `${host} runs Windows: its shell is ${shell}, and what was to be done there is for Linux`,
  hint: 'Its services are installed by "tidemark node install": with this credential over SSH, or with a credential for Windows ("tidemark credential add NAME --for windows") over port 445. A deployment kit can be carried there, too.',
  retry: 'never',
});

export const shellUnusable = failure<{ host: string; user: string; why: string }>('ssh.shell-unusable', {
  says: ({ host, user, why }) => `the login shell of ${user} on ${host} runs no commands: ${why}`,
  hint: 'Use a user whose shell is sh, bash or the like. Restricted shells, menus and device consoles cannot be used.',
  retry: 'never',
});

export const elevationRefused = failure<{ host: string; user: string; way: string; why: string }>('ssh.elevation-refused', {
  says: ({ host, user, way, why }) => `${user} does not become root on ${host} by ${way}: ${why}`,
  hint: 'Allow the user everything with sudo on that host, give the root password for su, or sign in as root.',
  retry: 'never',
});

export const connectionLost = failure<{ host: string; what: string; why: string }>('ssh.connection-lost', {
  says: ({ host, what, why }) => `the SSH connection to ${host} was lost during ${what}: ${why}`,
  hint: 'Try again; every step may be done twice.',
  retry: 'now',
});

export const commandFailed = failure<{ host: string; what: string; status: string; output: string }>('ssh.command-failed', {
  says: ({ host, what, status, output }) => `${what} on ${host} ended with ${status}${output === '' ? '' : `: ${output}`}`,
  hint: 'The text after the last colon is what it printed last.',
  retry: 'later',
});

export const outputTooLong = failure<{ host: string; what: string; bytes: number }>('ssh.output-too-long', {
  says: ({ host, what, bytes }) => `${what} on ${host} printed more than ${bytes} bytes and was cut off`,
  hint: 'Look on the host why it prints so much.',
  retry: 'never',
});

export const uploadDamaged = failure<{ host: string; path: string; sent: string; found: string }>('ssh.upload-damaged', {
  says: ({ host, path, sent, found }) => `${path} on ${host} has the SHA-256 ${found}, and ${sent} was sent`,
  hint: 'Nothing was put in place. Look at the disk of the host and try again.',
  retry: 'now',
});
