import { failure } from '../base/failure.ts';

export const copyUnknown = failure<{ copy: string; several: boolean }>('server.copy-unknown', {
  says: ({ copy, several }) => (several ? `${copy} has several backup copies` : `there is no backup copy ${copy}`),
  hint: 'Run "tidemark copy list", and give the id or SET/REPOSITORY.',
  retry: 'never',
});

export const copyExists = failure<{ set: string; repository: string }>('server.copy-exists', {
  says: ({ set, repository }) => `set ${set} is copied to repository ${repository} already`,
  hint: 'Run "tidemark copy list"; to change it, remove that copy and add it anew: what was copied stays, and is not copied again.',
  retry: 'never',
});

export const copyToItself = failure<{ set: string; repository: string }>('server.copy-to-itself', {
  says: ({ set, repository }) => `repository ${repository} is the one that ${set} is to be copied or repaired from`,
  hint: 'Name another repository, best on another machine.',
  retry: 'never',
});

export const copyBusy = failure<{ copy: string; session: string }>('server.copy-busy', {
  says: ({ copy, session }) => `session ${session} is copying ${copy}`,
  hint: ({ session }) => `Wait for it with "tidemark session watch ${session}", or stop it.`,
  retry: 'later',
});

export const archiveUnknown = failure<{ set: string; repository: string; several: boolean }>('server.archive-unknown', {
  says: ({ set, repository, several }) => (several ? `repository ${repository} has several archives of a set called ${set}` : `repository ${repository} has no archive of set ${set}`),
  hint: 'Run "tidemark repository show" for the sets that are in it; where two have one name, give the id.',
  retry: 'never',
});

export const repositoryAttached = failure<{ repository: string }>('server.repository-attached', {
  says: ({ repository }) => `repository ${repository} is attached read-only`,
  hint: ({ repository }) => `Take it over with "tidemark repository adopt ${repository}" when nobody else uses it.`,
  retry: 'never',
});

export const repositoryHeld = failure<{ repository: string; set: string; what: string; until: string }>('server.repository-held', {
  says: ({ repository, set, what, until }) => `somebody is at work in repository ${repository}: ${what} of ${set}, which counts until ${until}`,
  hint: 'Stop the server or the services that use it. The lease of one that was killed ends by itself, within sixteen minutes of its last sign of life.',
  retry: 'later',
});

export const liveSetUnknown = failure<{ set: string }>('server.live-set-unknown', {
  says: ({ set }) => `set ${set} is not protected here, so it is not known how to reach it`,
  hint: 'Say with --into where the collections go.',
  retry: 'never',
});
