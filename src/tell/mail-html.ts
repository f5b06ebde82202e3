/** The plain page of a mail: what happened, for eyes. A report brings a page of its own. */
import type { Severity, Told } from '../contract/notifications.ts';

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (sign) => entities[sign]!);
}

/** Readable on white and on black. */
export const colours: Readonly<Record<Severity, string>> = { info: '#2b7a4b', notice: '#2b7a4b', warning: '#a86400', error: '#c0392b', critical: '#c0392b' };

export function htmlOf({ title, lines, severity, server, atMs, session }: Told): string {
  const rows = lines.map((line) => `<p style="margin:6px 0">${escapeHtml(line)}</p>`).join('\n');
  const about = [new Date(atMs).toISOString(), server, ...(session === null ? [] : [`session ${session.id}`])].map(escapeHtml).join(' · ');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark"><title>${escapeHtml(title)}</title></head>
<body style="font:15px/1.5 system-ui,'Segoe UI',sans-serif;max-width:720px;margin:24px auto;padding:0 16px">
<h1 style="font-size:18px;border-left:5px solid ${colours[severity]};padding-left:12px;margin:0 0 12px">${escapeHtml(title)}</h1>
${rows}
<p style="margin-top:20px;font-size:12px;opacity:.7">${about}</p>
</body></html>
`;
}
