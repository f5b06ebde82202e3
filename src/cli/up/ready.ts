/** Left in the data directory while `tidemark up` runs, so that commands on the same machine find the server. */
export const readyFile = 'up.json';

export type Ready = {
  readonly url: string;
  readonly tokenFile: string;
  readonly caFile: string;
  readonly dataDir: string;
  /** Where the transport service answers the server. */
  readonly transport: string;
  readonly pid: number;
};
