import { failure } from '../base/failure.ts';

export const secretsOther = failure('server.secrets-other', {
  says: () => 'the master key or the authority of this server is not that of the other servers on its catalog',
  hint: 'Copy master.key and server/ca.json from the data directory of a server that works, and start it again.',
  retry: 'never',
});

export const dataDirectoryUsed = failure<{ data: string; file: string }>('server.data-directory-used', {
  says: ({ data, file }) => `${data} has a server in it already: ${file} is there`,
  hint: 'Name an empty directory with --data, or move that one away.',
  retry: 'never',
});
