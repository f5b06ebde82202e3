/**
 * A folder of a share as a host on Windows opens it: signed in by Windows' own SMB client, and from there on a folder by its UNC path.
 * What is laid down is what libsmbclient lays down from Linux: hosts of both kinds may use one share.
 */
import { isIP } from 'node:net';
import { windowsPathProblem } from '../../base/windows-path.ts';
import { signInToShare, type ShareSignIn } from '../../base/windows-share.ts';
import { pathRefused, shareMissing, shareRefused, shareUnfit, shareUnreachable } from '../failures.ts';
import { openDirectory } from './directory.ts';
import type { SmbLocation } from './location.ts';
import type { Storage } from './storage.ts';

type SignIn = (wanted: ShareSignIn) => Promise<number>;

const usualPort = 445;

/** Windows' words for what it does not let in, and for what it does not reach. */
const refusals: Readonly<Record<number, string>> = {
  5: 'access denied', 86: 'wrong password', 1219: 'this service is signed in to that server as somebody else, and at work there', 1326: 'wrong user or password', 1327: 'the account may not sign in like this', 1328: 'not at this hour',
  1330: 'the password has expired', 1331: 'the account is disabled', 1396: 'the name of the server is not the one that it has in its domain', 1907: 'the password has to be changed first', 1909: 'the account is locked', 2202: 'this is no name of a user',
};
const notReached: Readonly<Record<number, string>> = { 51: 'it does not answer', 53: 'there is no such server', 59: 'the network failed', 64: 'the server ended the connection', 121: 'it did not answer in time', 1203: 'nothing on this host opens such a path', 1222: 'this host has no network of Windows', 1231: 'there is no way to it' };

/** `\\server\share`, and below it the folder. */
export function uncOf({ server, share, path }: Pick<SmbLocation, 'server' | 'share' | 'path'>): { share: string; folder: string } {
  const host = isIP(server) === 6 ? `${server.replaceAll(':', '-')}.ipv6-literal.net` : server;
  const root = `\\\\${host}\\${share}`;
  return { share: root, folder: [root, ...path.split('/').filter((segment) => segment !== '')].join('\\') };
}

export async function openShareOnWindows(location: SmbLocation, password: string, options: { create: boolean; connections?: number | undefined }, signIn: SignIn = signInToShare): Promise<Storage> {
  const { share, folder } = uncOf(location);
  const problem = windowsPathProblem(folder);
  if (problem !== undefined) throw pathRefused({ path: folder, why: problem });
  if (location.port !== usualPort) throw shareUnfit({ place: folder, what: `Windows opens shares on port ${usualPort} alone, and this one is on ${location.port}` });
  const user = location.domain === '' ? location.user : `${location.domain}\\${location.user}`;
  const answer = await signIn({ share, user, password, encryption: location.encryption === 'required' });
  if (answer !== 0) throw refusedWith(answer, location, folder, user);
  return await openDirectory(folder, options);
}

function refusedWith(win32: number, { share, encryption }: SmbLocation, place: string, user: string): Error {
  const why = refusals[win32];
  if (why !== undefined) return shareRefused({ place, user, why: `${why} (Win32 error ${win32})` });
  if (win32 === 67) return shareMissing({ place, share });
  if (win32 === 87 || win32 === 50) return shareUnfit({ place, what: `this version of Windows, or that server, cannot be held to ${encryption === 'required' ? 'signing and encryption' : 'signing'} (Win32 error ${win32})` });
  return shareUnreachable({ place, why: `${notReached[win32] ?? 'Windows did not connect to it'} (Win32 error ${win32})` });
}
