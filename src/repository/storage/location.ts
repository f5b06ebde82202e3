/** Where a repository's objects are, as the rooms above say it. */
export type DirectoryLocation = { readonly kind: 'directory'; readonly path: string };

export type SmbLocation = {
  readonly kind: 'smb';
  readonly server: string;
  readonly port: number;
  readonly share: string;
  /** Below the share, with '/'; empty: the share's top. */
  readonly path: string;
  readonly user: string;
  readonly domain: string;
  readonly encryption: 'required' | 'if-offered';
  readonly netbios: boolean;
};

export type S3Location = {
  readonly kind: 's3';
  readonly endpoint: string;
  readonly bucket: string;
  readonly prefix: string;
  readonly region: string;
  readonly style: 'path' | 'virtual-host';
  readonly accessKeyId: string;
  readonly caPem: string | null;
  /** Encryption by the store with keys of its own, or with one of its key service, asked for and read back; null: what the bucket does by itself. */
  readonly sse: 'AES256' | { readonly kms: string } | null;
};

export type StorageLocation = DirectoryLocation | SmbLocation | S3Location;

/** What is opened: the secret is the password of a share or the secret access key of a bucket. */
export type StoragePlace = { readonly location: StorageLocation; readonly secret: string | null };
