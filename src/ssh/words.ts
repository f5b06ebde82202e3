/** What a host printed, fit for a sentence: one line, no control characters, not long, and never with a secret in it. */
export function wordsOf(text: string, secrets: readonly string[], longest = 300): string {
  const hidden = secrets.filter((secret) => secret !== '').reduce((words, secret) => words.replaceAll(secret, '***'), text);
  // eslint-disable-next-line no-control-regex
  const plain = hidden.replace(/\u001b\[[0-9;?]*[A-Za-z]/g, '').replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ').replace(/ +/g, ' ').trim();
  return plain.length > longest ? `${plain.slice(0, longest)}…` : plain;
}
