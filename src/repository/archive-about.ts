/** What is written into an archive when it is made; whoever opens it proves the key by it. */
export type About = { readonly form: 1; readonly setId: string; readonly setName: string; readonly createdAtMs: number };
