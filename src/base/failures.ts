import { failure } from './failure.ts';

export const deadlinePassed = failure<{ what: string; ms: number }>('base.deadline-passed', {
  says: ({ what, ms }) => `waited ${(ms / 1000).toFixed(1)} s for ${what}, in vain`,
  hint: 'See why it takes so long, then try again.',
  retry: 'later',
});

export const stopped = failure<{ what: string }>('base.stopped', {
  says: ({ what }) => `${what} was stopped`,
  hint: 'Start it again when you want it.',
  retry: 'never',
});

export const childFailed = failure<{ what: string; status: string; output: string }>('base.child-failed', {
  says: ({ what, status, output }) => `${what} ended with ${status}${output === '' ? '' : `: ${output}`}`,
  hint: 'The text after the colon is what the program printed last.',
  retry: 'later',
});

export const nativeMissing = failure<{ call: string }>('base.native-missing', {
  says: ({ call }) => `the call ${call} is not available on this machine`,
  hint: 'Tidemark runs on Linux with glibc 2.28 or newer, and there alone it reads and mounts what needs this call.',
  retry: 'never',
});

export const systemCallFailed = failure<{ call: string; errno: number }>('base.system-call-failed', {
  says: ({ call, errno }) => `${call} failed with errno ${errno}`,
  hint: 'Look the number up with "errno N"; it is the kernel that refused.',
  retry: 'later',
});

export const libraryMissing = failure<{ library: string; debian: string; redHat: string; why: string }>('base.library-missing', {
  says: ({ library, why }) => `${library} cannot be loaded on this machine: ${why}`,
  hint: ({ debian, redHat }) => `Install it: "apt-get install ${debian}" on Debian and Ubuntu, "dnf install ${redHat}" on Red Hat and its kin.`,
  retry: 'later',
});

export const smbCallFailed = failure<{ call: string; errno: number; status: number }>('base.smb-call-failed', {
  says: ({ call, errno, status }) => `${call} failed with ${status === 0 ? `errno ${errno}` : `status 0x${status.toString(16)}`}`,
  hint: 'The number is what the file server, or the way to it, answered.',
  retry: 'later',
});

export const notAService = failure<{ name: string }>('base.not-a-service', {
  says: ({ name }) => `this process was not started as the service ${name}`,
  hint: ({ name }) => `Start it with "sc start ${name}"; to run the program by hand, leave out --service.`,
  retry: 'never',
});

export const folderNotOurs = failure<{ folder: string; why: string }>('base.folder-not-ours', {
  says: ({ folder, why }) => `${folder} is not believed, and nothing in it was read: ${why}`,
  hint: 'Somebody else than the system and its administrators made it or something in it, or could have changed it. See what it is and take it away, as an administrator; then start the service again.',
  retry: 'never',
});

export const windowsCallFailed = failure<{ call: string; win32: number }>('base.windows-call-failed', {
  says: ({ call, win32 }) => `${call} failed with Win32 error ${win32}`,
  hint: 'Look the number up with "net helpmsg N" on that host; it is Windows that refused.',
  retry: 'later',
});
