/**
 * Which versions of our services there are and which run: a service is out of date when the distribution server has a newer
 * package for its platform or, where there is none, when this server is newer. Platforms are learnt from each service when
 * it is connected; packages are asked for when somebody looks, at most every five seconds.
 */
import type { Clock } from '../base/clock.ts';
import { describe } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import type { PackageList } from '../contract/depot.ts';
import { compareVersions, packageVersion, type PackageName } from '../contract/packages.ts';
import type { Distribution } from './distribution.ts';
import type { Links } from './links.ts';
import type { LinkStanding } from './transport-link.ts';

export type ServiceVersions = {
  /** Asks the distribution server again, unless that was done less than `freshMs` ago. One that does not answer changes nothing; why is answered then. */
  look(freshMs?: number): Promise<string | null>;
  /** The newest package that was offered then for a platform. */
  newest(name: PackageName, platform: string): string | null;
  isOutOfDate(host: string, name: PackageName, standing: LinkStanding): boolean;
};

const usuallyFreshMs = 5_000;

export function openServiceVersions(options: { distribution: Distribution; links: Links; deployers: Links; version: string; clock: Clock; log: Log }): ServiceVersions {
  const { distribution, links, deployers, version, clock, log } = options;
  const platforms = new Map<string, string>();
  let known: PackageList['packages'] = [];
  let lookedMs = Number.NEGATIVE_INFINITY;

  const learn = (host: string, asked: Promise<{ platform: string }>): void => {
    asked.then(({ platform }) => platforms.set(host, platform)).catch((error: unknown) => log.info('a host did not tell its platform', { host, why: describe(error) }));
  };
  links.onConnect((caller, { id }) => learn(id, caller.call('host.describe', {})));
  deployers.onConnect((caller, { id }) => learn(id, caller.call('deployer.describe', {})));

  const newest = (name: PackageName, platform: string | undefined): string | null => {
    const offered = known.filter((one) => one.name === name && one.platform === platform).map((one) => one.version);
    return offered.sort((a, b) => compareVersions(b, a))[0] ?? null;
  };
  return {
    async look(freshMs = usuallyFreshMs) {
      if (distribution.at === null || clock.monotonicMs() - lookedMs < freshMs) return null;
      try {
        ({ packages: known } = await distribution.list());
        lookedMs = clock.monotonicMs();
        return null;
      } catch (error) {
        const why = describe(error);
        log.warn('the distribution server was not asked for its packages', { why });
        return why;
      }
    },
    newest,
    isOutOfDate: (host, name, standing) =>
      standing.isOtherContract || (standing.version !== null && packageVersion.safeParse(standing.version).success && compareVersions(standing.version, newest(name, platforms.get(host)) ?? version) < 0),
  };
}
