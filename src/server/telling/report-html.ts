/**
 * A report as one page, for mail programs and browsers: no script, no font, no picture from elsewhere. Colours come from
 * variables with a light and a dark set; where a mail program knows neither, the light ones stand in the rules as such.
 * Everything that comes from outside goes through `escapeHtml`.
 */
import type { Report, SetStanding } from '../../contract/reports.ts';
import { showAge } from '../../domain/protection.ts';
import { escapeHtml as e } from '../../tell/mail-html.ts';

const style = `
body{margin:0;background:#f6f8fa;color:#1f2933;font:14px/1.5 system-ui,"Segoe UI",Roboto,sans-serif}
main{max-width:920px;margin:0 auto;padding:24px 16px}
h1{font-size:20px;margin:0}h2{font-size:15px;margin:28px 0 8px}
p{margin:4px 0}.dim{color:#5b6875}
table{width:100%;border-collapse:collapse;background:#fff;border:1px solid #d9e0e7}
th{text-align:left;font-weight:600;font-size:12px;color:#5b6875;padding:8px 10px;border-bottom:1px solid #d9e0e7}
td{padding:8px 10px;border-bottom:1px solid #e8edf2;vertical-align:top;overflow-wrap:anywhere}
.n{text-align:right;white-space:nowrap}.k{white-space:nowrap}
.tag{display:inline-block;padding:1px 8px;border-radius:9px;font-size:12px;font-weight:600;white-space:nowrap}
.good{background:#d9f2e3;color:#14532d}.warn{background:#fdecc8;color:#713f12}.bad{background:#fbd9d5;color:#7f1d1d}.idle{background:#e5eaf0;color:#334155}
.sum{margin:14px 0;padding:12px 14px;background:#fff;border:1px solid #d9e0e7;border-left:5px solid #2b7a4b}.sum.ill{border-left-color:#c0392b}
@media (prefers-color-scheme:dark){
body{background:#11161c;color:#dde4ea}.dim,th{color:#93a1af}
table,.sum{background:#1a2129;border-color:#2d3844}th,td{border-color:#2d3844}
.sum{border-left-color:#3fa66b}.sum.ill{border-left-color:#e06557}
.good{background:#14432a;color:#b6ebc9}.warn{background:#4d3a10;color:#f5dea0}.bad{background:#571f1a;color:#f6c4bd}.idle{background:#2d3844;color:#c3ced9}}`;

const tags: Readonly<Record<string, string>> = { success: 'good', warning: 'warn', failed: 'bad', stopped: 'idle' };
const tag = (text: string, look: string): string => `<span class="tag ${look}">${e(text)}</span>`;

export function reportHtml(report: Report): string {
  const bad = report.sets.filter(({ isProtected }) => !isProtected);
  const [session] = report.sessions;
  const title = report.kind === 'daily' ? 'Daily report' : session === undefined ? 'Session' : `${session.kind}${session.isPlan ? ' (plan)' : ''} of ${session.object}`;
  const says = report.sets.length === 0 ? 'No set is protected.' : bad.length === 0 ? `${report.sets.length === 1 ? 'The set is' : `All ${report.sets.length} sets are`} protected as promised.` : `${bad.length} of ${report.sets.length} ${report.sets.length === 1 ? 'set' : 'sets'} ${bad.length === 1 ? 'is' : 'are'} NOT protected as promised.`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark"><title>${e(title)}</title><style>${style}</style></head>
<body><main>
<h1>${e(title)}</h1>
<p class="dim">${moment(report.fromMs)} to ${moment(report.toMs)} · ${e(report.server)}</p>
${report.kind === 'session' && session !== undefined ? sessionPart(session, report) : ''}
<div class="sum${bad.length > 0 || report.sets.length === 0 ? ' ill' : ''}"><b>${says}</b></div>
${report.sets.length === 0 ? '' : setTable(report.sets)}
${report.kind === 'daily' ? sessionTable(report) : ''}
</main></body></html>
`;
}

function setTable(sets: readonly SetStanding[]): string {
  const rows = [...sets].sort((a, b) => Number(a.isProtected) - Number(b.isProtected)).map((row) => `<tr>
<td><b>${e(row.set)}</b><br>${tag(row.isProtected ? 'protected' : 'unprotected', row.isProtected ? 'good' : 'bad')}${row.reasons.map((why) => `<br>${e(why)}`).join('')}</td>
<td>${row.lastPointAgeSeconds === null ? 'none' : `${showAge(row.lastPointAgeSeconds * 1000)} ago`}<br><span class="dim">promised ${row.promisedPointHours} h</span></td>
<td>${row.lossIfDisasterNowSeconds === null ? 'everything' : showAge(row.lossIfDisasterNowSeconds * 1000)}<br><span class="dim">promised ${showAge(row.promisedLossSeconds * 1000)}</span></td>
<td>${row.window === null ? 'none' : `${moment(row.window.fromMs)}<br>to ${moment(row.window.toMs)}`}<br><span class="dim">${row.points} points</span></td>
<td class="n">${row.bytes === null ? '' : bytes(row.bytes)}<br><span class="dim">${row.grownBytes === null ? '' : `${row.grownBytes < 0 ? '−' : '+'}${bytes(Math.abs(row.grownBytes))}`}</span></td>
<td>${row.verified === null ? tag('never', 'warn') : `${moment(row.verified.atMs)}<br><span class="dim">${row.verified.level === 'full' ? 'in full' : 'opened'}</span>`}${fullPart(row.fullyVerified)}</td>
</tr>`);
  return `<h2>Sets</h2>
<table><thead><tr><th>Set</th><th>Last point</th><th>Loss now</th><th>Window</th><th class="n">Size, growth</th><th>Verified</th></tr></thead><tbody>
${rows.join('\n')}
</tbody></table>`;
}

function fullPart(full: SetStanding['fullyVerified']): string {
  if (full === null) return '';
  const checks = full.checks === 0 ? '' : `, ${full.checks} ${full.checks === 1 ? 'check' : 'checks'}`;
  return full.ok ? `<br>in full ${moment(full.atMs)}${checks}` : `<br>${tag('verification failed', 'bad')}<br>${moment(full.atMs)}${checks}: ${e(full.failed.join(', ') || full.says)}`;
}

function sessionTable({ sessions, isCut }: Report): string {
  if (sessions.length === 0) return '<h2>Sessions</h2><p>None ended.</p>';
  const rows = sessions.map((one) => `<tr><td class="k">${one.endedAtMs === null ? '' : moment(one.endedAtMs)}</td><td class="k">${e(one.kind)}</td><td>${e(one.object)}</td><td>${tag(one.state, tags[one.state] ?? 'idle')}</td><td>${one.failure === null ? (one.warnings === 0 ? '' : `${one.warnings} warnings`) : e(one.failure.message)}</td></tr>`);
  return `<h2>Sessions</h2>
<table><thead><tr><th>Ended</th><th>What</th><th>Of</th><th>State</th><th></th></tr></thead><tbody>
${rows.join('\n')}
</tbody></table>${isCut ? '<p class="dim">There were more; these are the first 500.</p>' : ''}`;
}

function sessionPart(session: Report['sessions'][number], report: Report): string {
  const failed = session.failure === null ? '' : `<p><b>${e(session.failure.message)}</b></p><p class="dim">${e(session.failure.hint)} [${e(session.failure.code)}]</p>`;
  const volume = report.bytes === null ? '' : `<p class="dim">${bytes(report.bytes.processed)} processed, ${bytes(report.bytes.read)} read, ${bytes(report.bytes.stored)} stored</p>`;
  const steps = report.steps.map(({ name, seconds }) => `<tr><td>${e(name)}</td><td class="n">${seconds === null ? '' : `${seconds.toFixed(1)} s`}</td></tr>`);
  return `<p>${tag(session.state, tags[session.state] ?? 'idle')} <span class="dim">session ${e(session.id)}</span></p>
${failed}${volume}${steps.length === 0 ? '' : `<h2>Steps</h2><table><tbody>${steps.join('\n')}</tbody></table>`}`;
}

function moment(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  const power = Math.min(units.length - 1, count < 1 ? 0 : Math.floor(Math.log10(count) / 3));
  return `${(count / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}
