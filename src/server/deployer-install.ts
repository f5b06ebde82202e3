/**
 * The first installation of a deployer as a shell program: over SSH, where the package was uploaded, or from the installer
 * service, where the host fetches it itself. Every line may be run again. From then on the deployer does what is to be done.
 */
import type { HostPackage } from './first-contact.ts';
import { quoted } from '../ssh/upload.ts';

const state = '/var/lib/tidemark-deployer';
/** Where the unit of the deployer looks for it. */
export const deployerKit = `${state}/kit.json`;
const usualPort = 6160;

/** What an operator runs to take it away again. */
const removal = (version: string): string => {
  const place = `/opt/tidemark/deployer/${version}`;
  return `sh ${place}/setup.sh disable; sh ${place}/setup.sh purge; rm -rf /opt/tidemark/deployer`;
};

/** Settings that somebody wrote there stay; the server learns by the link that it does not get, and says so. */
const settings = (port: number): string => (port === usualPort ? '' : `[ -e /etc/tidemark/deployer.json ] || printf '%s\\n' ${quoted(JSON.stringify({ listen: { port } }))} > /etc/tidemark/deployer.json\n`);

function layDown(version: string, file: string, port: number): string {
  const place = `/opt/tidemark/deployer/${version}`;
  const partial = '/opt/tidemark/deployer/.unpacking-first';
  return `set -e
umask 022
if [ ! -d ${place} ]; then
  mkdir -p /opt/tidemark/deployer
  rm -rf ${partial}
  mkdir ${partial}
  tar -xzf ${file} -C ${partial} --strip-components=1 --no-same-owner
  sync -f ${partial}
  mv -T ${partial} ${place}
fi
sh ${place}/setup.sh prepare
${settings(port)}sh ${place}/setup.sh switch
sh ${place}/setup.sh enable
systemctl reset-failed tidemark-deployer.service 2>/dev/null || :
systemctl restart tidemark-deployer.service
echo tidemark-deployer ${version} is installed`;
}

export function deployerPackage(file: string, version: string, port: number): HostPackage {
  return { file, install: (at) => layDown(version, at, port), remove: removal(version) };
}

/** A package that the host's own package manager knows afterwards. */
export function deployerPackageOf(file: string, form: 'deb' | 'rpm', port: number): HostPackage {
  const restart = port === usualPort ? '' : `; ${settings(port)}systemctl restart tidemark-deployer.service`;
  return form === 'deb' ? { file, install: (at) => `dpkg -i ${at}${restart}`, remove: 'dpkg --purge tidemark-deployer' } : { file, install: (at) => `rpm -U --replacepkgs ${at}${restart}`, remove: 'rpm -e tidemark-deployer' };
}

export type InstallerFacts = {
  readonly host: string;
  readonly deployerPort: number;
  /** HOST:PORT of the installer service. */
  readonly from: string;
  readonly caPem: string;
  readonly token: string;
  readonly version: string;
  /** The installer believes this, whatever it is sent. */
  readonly sha256: string;
};

/**
 * A file that an operator carries to a host and runs there as root. It trusts the authority that it holds and nothing else,
 * and the bytes whose checksum it holds; what it holds of secrets works once and for an hour. No secret is in an argument.
 */
export function installerProgram({ host, deployerPort, from, caPem, token, version, sha256 }: InstallerFacts): string {
  return `#!/bin/sh
# Installs the deployer service of Tidemark on ${host} and has it enrol. Run it there as root, once, within an hour.
set -eu
umask 077
if [ "$(id -u)" != 0 ]; then echo "this must be run as root" >&2; exit 1; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat > ca.pem <<'END'
${caPem.trim()}
END
cat > question <<'END'
${JSON.stringify({ token })}
END
echo 'content-type: application/json' > header
if command -v curl >/dev/null; then
  fetch() { path=$1; shift; curl -sS --fail --max-time 600 --cacert ca.pem -H @header "$@" "https://${from}$path"; }
  post() { fetch "$1" --data-binary @question; }
elif command -v wget >/dev/null; then
  fetch() { path=$1; shift; sed 's/^/header = /' header > rc; WGETRC=rc wget -q -O - --ca-certificate=ca.pem "$@" "https://${from}$path"; }
  post() { fetch "$1" --post-file=question; }
else
  echo "curl or wget is needed" >&2
  exit 1
fi
post /install > answer || { echo "the installer service at ${from} did not take the token: have the server make a new installer" >&2; exit 1; }
sed -n 's/.*"ticket":"\\([A-Za-z0-9_-]*\\)".*/Authorization: Bearer \\1/p' answer > header
fetch /install/bytes > package.tar.gz
echo "${sha256}  package.tar.gz" | sha256sum -c --quiet - || { echo "the package is not the one this installer is for" >&2; exit 1; }
install -d -m 700 ${state}
sed -n 's/.*"kit":"\\([A-Za-z0-9+/=]*\\)".*/\\1/p' answer | base64 -d > ${deployerKit}.partial
mv ${deployerKit}.partial ${deployerKit}
${layDown(version, 'package.tar.gz', deployerPort)}
`;
}
