import { failure } from '../base/failure.ts';

export const portsUsedUp = failure<{ from: number; to: number; wanted: number; seconds: number }>('mover.ports-used-up', {
  says: ({ from, to, wanted, seconds }) => `no ${wanted} ports of ${from}–${to} became free within ${seconds} s`,
  hint: 'Each connection of a job takes a port for itself. Widen the range of this host, or run fewer jobs at a time.',
  retry: 'later',
});

export const hostNotReached = failure<{ host: string; why: string }>('mover.host-not-reached', {
  says: ({ host, why }) => `no data channel to ${host}: ${why}`,
  hint: 'See that the ports of the data range are open from this host to the repository\'s. "tidemark ports check" tries them.',
  retry: 'later',
});

export const hostNotTrusted = failure<{ host: string; why: string }>('mover.host-not-trusted', {
  says: ({ host, why }) => `${host} is not the repository host that is expected: ${why}`,
  hint: 'Something else answers at that address, or the host was enrolled anew. Check the host\'s address.',
  retry: 'later',
});

export const channelRefused = failure<{ why: string }>('mover.channel-refused', {
  says: ({ why }) => `the data session refused a channel: ${why}`,
  hint: 'The session has ended, or was made for another host. Start the job again.',
  retry: 'later',
});

export const channelTaken = failure<{ channel: number }>('mover.channel-taken', {
  says: ({ channel }) => `channel ${channel} of the data session is in use by another process of the task`,
  hint: 'Start the job again. If it comes back, report it with the session\'s log.',
  retry: 'later',
});

export const sessionLost = failure<{ host: string; seconds: number; why: string }>('mover.session-lost', {
  says: ({ host, seconds, why }) => `the data session with ${host} was without a channel for ${seconds} s: ${why}`,
  hint: 'What was acknowledged is stored and is used by the next run. See the network between the hosts, then start the job again.',
  retry: 'now',
});

export const noAnswer = failure<{ host: string; what: string; seconds: number }>('mover.no-answer', {
  says: ({ host, what, seconds }) => `${host} did not answer ${what} within ${seconds} s`,
  hint: 'The repository\'s disk may be stuck. See that host, then start the job again.',
  retry: 'later',
});

export const requestRefused = failure<{ what: string; why: string }>('mover.request-refused', {
  says: ({ what, why }) => `${what} is not allowed over this data channel: ${why}`,
  hint: 'A host adds to its own archive and takes back only what its session wrote. Do this on the repository\'s host.',
  retry: 'never',
});

export const messageBroken = failure<{ why: string }>('mover.message-broken', {
  says: ({ why }) => `a data channel carried something that is not a message: ${why}`,
  hint: 'The two services are of versions that do not fit together. Update the older one.',
  retry: 'never',
});

export const identityMissing = failure<{ path: string }>('mover.identity-missing', {
  says: ({ path }) => `this host has no identity to show to another host: ${path}`,
  hint: 'Enrol the host with the server, or see whether the transport service can read its identity file.',
  retry: 'later',
});
