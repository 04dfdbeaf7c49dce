// Any text of a broker as text of XML and HTML.

/** What XML 1.0 cannot hold becomes a question mark. */
export function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll(/[^\t\n\u0020-\ud7ff\ue000-\ufffd]/g, '?')
}
