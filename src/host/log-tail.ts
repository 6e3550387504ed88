/** The end of a log that an OS hands us, cut down to what a person may read: no secrets, no control characters, few lines. */

const linesMax = 20;
const charactersMax = 2_000;
const hidden = '[removed]';
/** Each with what stands in its place. Over the whole text first: a key has many lines. */
const secrets: readonly (readonly [pattern: RegExp, instead: string])[] = [
  // RFC 7468 §2; one that is cut off at the end as well, and one whose beginning was.
  [/-----BEGIN [^-\n]{1,64}-----[\s\S]*?(?:-----END [^-\n]{1,64}-----|$)/g, hidden],
  [/^[\s\S]*-----END [^-\n]{1,64}-----/g, hidden],
  // Bootstrap tokens of kubeadm.
  [/\b[a-z0-9]{6}\.[a-z0-9]{16}\b/g, hidden],
  // `--token x`, `--token=x`, `--certificate-key x`.
  [/(--[a-z-]*(?:token|password|secret|key)[a-z-]*(?:\s*=\s*|\s+))("[^"\n]*"|'[^'\n]*'|\S+)/gi, `$1${hidden}`],
  // `Authorization: Bearer x`
  [/((?:^|[^a-z])authorization["']?\s*[:=]\s*["']?)[^\r\n]*/gi, `$1${hidden}`],
  // `token: x`, `"password": "x"`, `PASSWD=x`, `certificateKey: x`.
  [
    /([a-z0-9_.-]*(?:token|password|passwd|passphrase|secret|credential|api-?key|certificate-?key|private-?key)[a-z0-9_-]*["']?\s*[:=]\s*)("[^"\n]*"|'[^'\n]*'|[^\s,}]+)/gi,
    `$1${hidden}`,
  ],
  // A user in a URL.
  [/(\/\/)[^/\s@]+@/g, `$1${hidden}@`],
  // Hex keys (certificate keys have 64 digits) and base64 blobs. `sha256:` hashes of public keys and images stay: they tell what was meant.
  [/(?<!sha256:)\b[0-9a-f]{64,}\b/gi, hidden],
  [/(?<!sha256:[0-9a-f]*)[A-Za-z0-9+/_-]{65,}={0,2}/g, hidden],
];
/** Colours and moves of a terminal (ECMA-48 §5.4), and all else that is no text. */
// oxlint-disable-next-line no-control-regex -- they are what is looked for
const noise = /\u001b\[[0-?]*[ -/]*[@-~]|[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** The last lines without secrets; empty where nothing was said. */
export const logTail = (log: string): string => {
  const clean = secrets.reduce(
    (text, [pattern, instead]) => text.replace(pattern, instead),
    log.replaceAll('\r\n', '\n').replaceAll(noise, ''),
  );
  const lines = clean
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '');
  return lines.slice(-linesMax).join('\n').slice(-charactersMax);
};
