/** How the place of a repository is written for people. */
import type { RepositoryLocation } from './values.ts';

/** A directory as its path, a share as smb://server/share/path, a bucket as s3:https://endpoint/bucket/prefix. */
export function showPlace(location: RepositoryLocation): string {
  switch (location.kind) {
    case 'directory':
      return location.path;
    case 'smb':
      return ['smb:/', `${location.server}${location.port === 445 ? '' : `:${location.port}`}`, location.share, ...named(location.path)].join('/');
    case 's3':
      return `s3:${[location.endpoint.replace(/\/$/, ''), location.bucket, ...named(location.prefix)].join('/')}`;
  }
}

function named(path: string): string[] {
  return path === '' ? [] : [path];
}

/** Whether every host opens the place by itself. */
export function isOpenedStraight(location: RepositoryLocation): boolean {
  return location.kind !== 'directory' && location.straight;
}
