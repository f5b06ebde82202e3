import { failure } from '../../base/failure.ts';

export const notificationUnknown = failure<{ notification: string }>('server.notification-unknown', {
  says: ({ notification }) => `no notification is called ${notification}`,
  hint: 'Run "tidemark notification list" for those there are.',
  retry: 'never',
});

export const notificationExists = failure<{ name: string }>('server.notification-exists', {
  says: ({ name }) => `another notification is called ${name}`,
  hint: 'Give another name, or remove that one first with "tidemark notification remove".',
  retry: 'never',
});

export const notificationUnfit = failure<{ why: string }>('server.notification-unfit', {
  says: ({ why }) => `this notification cannot be: ${why}`,
  hint: 'Change what the sentence names, and add it again.',
  retry: 'never',
});

export const unhealthy = failure<{ reasons: readonly string[] }>('server.unhealthy', {
  says: ({ reasons }) => `the server does not work as it should: ${reasons.join('; ')}`,
  hint: 'See the log of the server, and "tidemark doctor" on its machine.',
  retry: 'later',
});
