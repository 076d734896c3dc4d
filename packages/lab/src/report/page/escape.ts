/** Text into a page: nothing that a trace's name holds may become markup. */

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/**
 * @returns the text with everything escaped that means something in HTML, attributes included
 * @public
 */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]);
}

/**
 * @returns JSON that may stand inside a script element: `<` is escaped, so that neither `</script>` nor
 *   `<!--` can end it
 * @public
 */
export function embedJson(value: unknown): string {
  return JSON.stringify(value).replace(/</g, '\\u003c');
}

/**
 * @returns the text with what an `id` may not hold replaced, the same for the same text
 * @public
 */
export function slug(text: string): string {
  return `trace-${text.replace(/[^\w-]+/g, '-')}`;
}

/**
 * A sentence in which backticks mark code.
 * @returns HTML, everything escaped
 * @public
 */
export function proseHtml(text: string): string {
  return escapeHtml(text).replace(/`([^`]+)`/g, '<code>$1</code>');
}
