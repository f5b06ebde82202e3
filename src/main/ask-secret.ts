/** Asks for a secret on this terminal; what is typed is not shown, and Ctrl-C ends the program as ever. */
const { stdin, stderr } = process;

export async function askSecret(question: string): Promise<string | undefined> {
  if (!stdin.isTTY || !stderr.isTTY) return undefined;
  stderr.write(question);
  stdin.setRawMode(true).setEncoding('utf8').resume();
  let typed = '';
  try {
    return await new Promise<string>((resolve) => {
      stdin.on('data', (text: string) => {
        for (const letter of text) {
          if (letter === '\r' || letter === '\n' || letter === '\u0004') return resolve(typed);
          if (letter === '\u0003') {
            stdin.setRawMode(false);
            process.kill(process.pid, 'SIGINT');
          } else if (letter === '\u007f' || letter === '\b') typed = Array.from(typed).slice(0, -1).join('');
          else typed += letter;
        }
      });
    });
  } finally {
    stdin.removeAllListeners('data').setRawMode(false).pause();
    stderr.write('\n');
  }
}
