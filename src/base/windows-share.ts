/**
 * A sign-in to a file server under another account than the one that the service runs as: by mpr.dll, as `net use` makes it, without a
 * drive letter. It is the session's: every process of the service has it from then on, until the machine is started anew. Kept in
 * no profile, and the password is handed to the call alone.
 */
import koffi from 'koffi';

export type ShareSignIn = {
  /** `\\server\share`. */
  readonly share: string;
  /** `DOMAIN\user`, or a user of the file server. */
  readonly user: string;
  readonly password: string;
  /** A server that does not encrypt is refused; one that does not sign always is. */
  readonly encryption: boolean;
};

const otherSignIn = 1219;

function load() {
  koffi.struct('NetResource', { scope: 'uint32', type: 'uint32', displayType: 'uint32', usage: 'uint32', localName: 'char16_t *', remoteName: 'char16_t *', comment: 'char16_t *', provider: 'char16_t *' });
  const mpr = koffi.load('mpr.dll');
  return {
    add: mpr.func('uint32 __stdcall WNetAddConnection2W(const NetResource *resource, const char16_t *password, const char16_t *user, uint32 flags)'),
    cancel: mpr.func('uint32 __stdcall WNetCancelConnection2W(const char16_t *name, uint32 flags, int force)'),
  };
}

let loaded: ReturnType<typeof load> | undefined;

/** Answers 0, or Windows' number for why not. A sign-in of an earlier user or password to the same share is given up for this one, unless it is at work. */
export async function signInToShare({ share, user, password, encryption }: ShareSignIn): Promise<number> {
  const [DISK, TEMPORARY, REQUIRE_SIGNING, REQUIRE_ENCRYPTION, WRITE_THROUGH] = [1, 4, 0x4000, 0x8000, 0x10000];
  loaded ??= load();
  const { add, cancel } = loaded;
  const resource = { scope: 0, type: DISK, displayType: 0, usage: 0, localName: null, remoteName: share, comment: null, provider: null };
  const flags = TEMPORARY | REQUIRE_SIGNING | WRITE_THROUGH | (encryption ? REQUIRE_ENCRYPTION : 0);
  const connect = async (): Promise<number> =>
    await new Promise((resolve, reject) => {
      add.async(resource, password, user, flags, (error: Error | null, result: number) => (error === null ? resolve(result) : reject(error)));
    });
  const answer = await connect();
  if (answer !== otherSignIn || (cancel(share, 0, 0) as number) !== 0) return answer;
  return await connect();
}
