/** What is used of the package, which brings no types. */
declare module 'nodemailer' {
  export type SmtpOptions = {
    host: string;
    port: number;
    secure: boolean;
    requireTLS?: boolean;
    ignoreTLS?: boolean;
    auth?: { user: string; pass: string };
    tls?: { ca?: string; minVersion?: string; servername?: string };
    name?: string;
    connectionTimeout: number;
    greetingTimeout: number;
    socketTimeout: number;
    disableFileAccess: boolean;
    disableUrlAccess: boolean;
  };
  export type Mail = { from: string; to: string[]; subject: string; text: string; html: string; messageId: string; date: Date; headers: Record<string, string> };
  export type Sent = { response: string; accepted: string[]; rejected: string[] };
  export type Transport = { sendMail(mail: Mail): Promise<Sent>; close(): void };
  export function createTransport(options: SmtpOptions): Transport;
}
