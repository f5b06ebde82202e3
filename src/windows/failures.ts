import { failure } from '../base/failure.ts';

export const portNotReached = failure<{ host: string; port: number; why: string }>('windows.port-not-reached', {
  says: ({ host, port, why }) => `no connection to ${host} on port ${port}: ${why}`,
  hint: 'See that the firewall of that host lets this machine in, and that file and printer sharing is on there. A deployment kit needs neither.',
  retry: 'later',
});

export const signInRefused = failure<{ host: string; user: string; why: string }>('windows.sign-in-refused', {
  says: ({ host, user, why }) => `${host} refused to let ${user} in: ${why}`,
  hint: 'Check user and password. A local administrator other than the built-in one is let in over the network only with LocalAccountTokenFilterPolicy set there; a deployment kit needs no account.',
  retry: 'never',
});

export const serviceCallFailed = failure<{ host: string; what: string; status: number; why: string }>('windows.service-call-failed', {
  says: ({ host, what, status, why }) => `${what} on ${host} ended with error ${status}: ${why}`,
  hint: 'It is the error that Windows gave; "net helpmsg" on that host explains the number.',
  retry: 'later',
});

export const answerUnusable = failure<{ host: string; what: string; why: string }>('windows.answer-unusable', {
  says: ({ host, what, why }) => `the answer of ${host} to ${what} was not read: ${why}`,
  hint: 'It is not what Windows answers there. See what stands behind that address and between.',
  retry: 'later',
});

export const answerForged = failure<{ host: string; what: string }>('windows.answer-forged', {
  says: ({ host, what }) => `the answer of ${host} to ${what} does not carry the signature of this session`,
  hint: 'Somebody stands between, or changes what passes. Find out who before anything is tried again.',
  retry: 'never',
});

export const toolMissing = failure<{ tool: string; package: string }>('windows.tool-missing', {
  says: ({ tool }) => `${tool} is not on the machine of the server, and hosts on Windows are reached with it`,
  hint: (details) => `Install it (Debian: apt-get install ${details.package}), or use a deployment kit, which needs nothing.`,
  retry: 'never',
});

export const shareRefused = failure<{ host: string; what: string; why: string }>('windows.share-refused', {
  says: ({ host, what, why }) => `${what} on ${host} failed: ${why}`,
  hint: 'ADMIN$ is there for administrators. See that this account is one on that host, and that the disk has room.',
  retry: 'later',
});
