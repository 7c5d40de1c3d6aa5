import assert from 'node:assert/strict';

/** Elements that have no end tag. */
const VOID = new Set(['meta', 'br', 'hr', 'img', 'input', 'link']);

export interface HtmlElement {
  readonly tag: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: HtmlElement[];
  /** Text of this element and of those within, entities decoded. */
  text: string;
}

function decode(text: string): string {
  return text.replace(/&(?:#(\d+)|(lt|gt|amp|quot));/g, (_, code: string | undefined, name: string) => (code === undefined ? { lt: '<', gt: '>', amp: '&', quot: '"' }[name]! : String.fromCharCode(Number(code))));
}

/**
 * Reads HTML as strictly as XML: every element is closed in order, attributes are quoted, text holds no bare `<` or `&`. A browser
 * would forgive more; what a report writes must not need that.
 */
export function parseHtml(html: string): HtmlElement {
  const root: HtmlElement = { tag: 'root', attributes: new Map(), children: [], text: '' };
  const open: HtmlElement[] = [root];
  const body = html.replace(/^<!doctype html>\s*/i, '');
  assert.notEqual(body, html, 'begins with a doctype');
  const token = /<(\/?)([a-zA-Z][a-zA-Z0-9]*)((?:\s+[a-zA-Z][a-zA-Z0-9-]*(?:="[^"<]*")?)*)\s*(\/?)>|([^<]+)|(.)/gsy;
  for (const match of body.matchAll(token)) {
    const [, closing, tag, attributes = '', selfClosed, text, stray] = match;
    assert.equal(stray, undefined, `a stray ${stray} at ${body.slice(match.index, match.index + 60)}`);
    if (text !== undefined) {
      assert.ok(open.at(-1)!.tag === 'style' || !/&(?!#\d+;|lt;|gt;|amp;|quot;)/.test(text), `a bare & in ${text.slice(0, 60)}`);
      for (const element of open) element.text += decode(text);
    } else if (closing === '/') {
      const element = open.pop()!;
      assert.equal(element.tag, tag, `closes ${tag} while ${element.tag} is open, before ${body.slice(match.index, match.index + 60)}`);
    } else {
      const found = new Map([...attributes.matchAll(/([a-zA-Z][a-zA-Z0-9-]*)(?:="([^"]*)")?/g)].map(([, name, value = '']) => [name!, decode(value)]));
      const element: HtmlElement = { tag: tag!, attributes: found, children: [], text: '' };
      open.at(-1)!.children.push(element);
      if (selfClosed !== '/' && !VOID.has(tag!)) open.push(element);
    }
  }
  assert.deepEqual(open.map(({ tag }) => tag), ['root'], 'every element is closed');
  return root;
}

/** All elements called so, in order. */
export function elements(root: HtmlElement, tag: string): HtmlElement[] {
  return root.children.flatMap((child) => [...(child.tag === tag ? [child] : []), ...elements(child, tag)]);
}

/** Asserts that opening the page asks no network for anything and runs nothing. */
export function assertSelfContained(html: string, root: HtmlElement): void {
  for (const tag of ['script', 'link', 'img', 'iframe', 'object', 'embed', 'base', 'form', 'video', 'audio', 'use', 'image']) assert.deepEqual(elements(root, tag), [], `no <${tag}>`);
  const style = elements(root, 'style').map(({ text }) => text).join('');
  assert.doesNotMatch(style, /@import|url\(/);
  const walk = (element: HtmlElement): void => {
    for (const [name, value] of element.attributes) {
      assert.doesNotMatch(name, /^(on|src|href|srcset|action)/, `attribute ${name}="${value}"`);
      if (name === 'style') assert.doesNotMatch(value, /url\(|expression|;.*;.*;.*;.*;/);
    }
    element.children.forEach(walk);
  };
  walk(root);
  assert.doesNotMatch(html.replaceAll('http://www.w3.org/2000/svg', ''), /<[^>]*https?:/);
}
