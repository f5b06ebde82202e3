/** What a bucket does to objects by itself: rules that delete them or take them away, versions that are kept, locks. */
import { GetBucketLifecycleConfigurationCommand, GetBucketVersioningCommand, GetObjectLockConfigurationCommand, type LifecycleRule } from '@aws-sdk/client-s3';
import { isFailure } from '../../base/failure.ts';
import { bucketDenied, bucketRefused, bucketUnfit } from '../failures.ts';
import type { Requests } from './s3-requests.ts';
import { nameOf } from './s3-answers.ts';
import type { PlaceFinding } from './storage.ts';

/** Classes of storage that are not read at once. */
const frozen = new Set(['GLACIER', 'DEEP_ARCHIVE']);

export async function findRules(requests: Requests, Bucket: string, prefix: string): Promise<PlaceFinding[]> {
  const asked = await Promise.all([lifecycleOf(requests, Bucket, prefix), versioningOf(requests, Bucket), lockOf(requests, Bucket)]);
  return asked.flat();
}

async function lifecycleOf(requests: Requests, Bucket: string, prefix: string): Promise<PlaceFinding[]> {
  const rules = await askOf(requests, 'lifecycle rules', async () => {
    return await requests.ask('lifecycle rules', async (client, { signal }) => {
      try {
        return (await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket }), { abortSignal: signal })).Rules ?? [];
      } catch (error) {
        if (nameOf(error) === 'NoSuchLifecycleConfiguration') return [];
        throw error;
      }
    });
  });
  if (!Array.isArray(rules)) return [rules];
  const eating = rules.flatMap((rule) => whatItEats(rule, prefix));
  if (eating.length > 0) return eating.map((says) => ({ what: 'lifecycle rules', level: 'bad' as const, says }));
  return [{ what: 'lifecycle rules', level: 'good', says: rules.length === 0 ? 'none' : `${rules.length}, none of which touches the repository` }];
}

/** Sentences on what a rule would do to objects below `prefix`. A filter by tag passes ours by, which have none. */
export function whatItEats(rule: LifecycleRule, prefix: string): string[] {
  const { Filter, Expiration, Transitions } = rule;
  // oxlint-disable-next-line typescript/no-deprecated -- older rules have their prefix there.
  const below = Filter?.And?.Prefix ?? Filter?.Prefix ?? rule.Prefix ?? '';
  const isTouched = rule.Status === 'Enabled' && (prefix.startsWith(below) || below.startsWith(prefix));
  if (!isTouched || Filter?.Tag !== undefined || (Filter?.And?.Tags ?? []).length > 0) return [];
  const name = `rule ${rule.ID ?? '(without a name)'}`;
  const found: string[] = [];
  if (Expiration?.Days !== undefined || Expiration?.Date !== undefined) found.push(`${name} deletes objects ${Expiration.Days === undefined ? `on ${Expiration.Date?.toISOString()}` : `after ${Expiration.Days} days`}`);
  for (const { StorageClass, Days } of Transitions ?? []) if (frozen.has(String(StorageClass))) found.push(`${name} moves objects to ${StorageClass} after ${Days ?? 0} days, where they cannot be read at once`);
  return found;
}

async function versioningOf(requests: Requests, Bucket: string): Promise<PlaceFinding[]> {
  const status = await askOf(requests, 'versions', async () => {
    return await requests.ask('versions', async (client, { signal }) => (await client.send(new GetBucketVersioningCommand({ Bucket }), { abortSignal: signal })).Status ?? 'Off');
  });
  if (typeof status !== 'string') return [status];
  if (status !== 'Enabled') return [{ what: 'versions', level: 'good', says: 'not kept' }];
  return [{ what: 'versions', level: 'doubtful', says: 'kept: what a sweep deletes gives no space back until a rule of the bucket ends old versions' }];
}

async function lockOf(requests: Requests, Bucket: string): Promise<PlaceFinding[]> {
  const found = await askOf(requests, 'object lock', async () => {
    return await requests.ask('object lock', async (client, { signal }) => {
      try {
        return (await client.send(new GetObjectLockConfigurationCommand({ Bucket }), { abortSignal: signal })).ObjectLockConfiguration ?? {};
      } catch (error) {
        if (nameOf(error) === 'ObjectLockConfigurationNotFoundError' || nameOf(error) === 'NoSuchObjectLockConfiguration') return {};
        throw error;
      }
    });
  });
  if ('level' in found) return [found];
  const kept = found.Rule?.DefaultRetention;
  if (kept === undefined) return [{ what: 'object lock', level: 'good', says: found.ObjectLockEnabled === 'Enabled' ? 'possible; used where the repository is immutable' : 'off' }];
  return [{ what: 'object lock', level: 'doubtful', says: `the bucket locks every object for ${kept.Days ?? 365 * (kept.Years ?? 0)} days (${kept.Mode}), leases and marks too: nothing gives space back before that` }];
}

/** What a store does not tell is said so. */
async function askOf<T>(requests: Requests, what: string, ask: () => Promise<T>): Promise<T | PlaceFinding> {
  try {
    return await ask();
  } catch (error) {
    if (isFailure(error, bucketDenied)) return { what, level: 'doubtful', says: 'the key may not read them' };
    if (isFailure(error, bucketUnfit) || isFailure(error, bucketRefused)) return { what, level: 'doubtful', says: 'the store does not say' };
    throw error;
  }
}
