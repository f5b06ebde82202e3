/** What is used of the package, which brings no types. */
declare module 'net-snmp' {
  export type Varbind = { oid: string; type: number; value: string | number };
  export type Message = { msgSecurityParameters?: { msgAuthoritativeEngineBoots: number; msgAuthoritativeEngineTime: number } };
  export type Session = {
    on(event: 'error', listener: (error: Error) => void): void;
    trap(oid: string, varbinds: Varbind[], options: object, done: (error: Error | null) => void): void;
    inform(oid: string, varbinds: Varbind[], options: object, done: (error: Error | null) => void): void;
    send(request: { message: Message }, noWait?: boolean): void;
    close(): void;
  };
  export type User = { name: string; level: number; authProtocol: number | string; authKey: string; privProtocol: number | string; privKey: string };
  export type SessionOptions = { version: number; port: number; trapPort: number; transport: 'udp4' | 'udp6'; timeout: number; retries: number; engineID?: string };
  const snmp: {
    createSession(target: string, community: string, options: SessionOptions): Session;
    createV3Session(target: string, user: User, options: SessionOptions): Session;
    Version2c: number;
    Version3: number;
    SecurityLevel: { authPriv: number };
    AuthProtocols: Record<string, string>;
    PrivProtocols: Record<string, string>;
    ObjectType: { OctetString: number; Integer: number; Unsigned32: number };
  };
  export { snmp as default };
}
