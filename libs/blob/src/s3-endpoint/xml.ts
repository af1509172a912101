/** What an element holds: text, or further elements by name (an array repeats one). */
export type XmlContent = string | number | boolean | XmlElements;
export interface XmlElements {
  [name: string]: XmlContent | readonly XmlContent[] | undefined;
}

const namespace = 'http://s3.amazonaws.com/doc/2006-03-01/';

export function xmlDocument(root: string, elements: XmlElements, { plain = false } = {}): string {
  const attributes = plain ? '' : ` xmlns="${namespace}"`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${root}${attributes}>${write(elements)}</${root}>`;
}

function write(elements: XmlElements): string {
  return Object.entries(elements)
    .flatMap(([name, content]) =>
      (Array.isArray(content) ? content : [content]).map((one) => writeOne(name, one as XmlContent)),
    )
    .join('');
}

function writeOne(name: string, content: XmlContent | undefined): string {
  if (content === undefined) return '';
  return `<${name}>${typeof content === 'object' ? write(content) : escapeText(String(content))}</${name}>`;
}

function escapeText(text: string): string {
  return text
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/"/g, '&quot;')
    .replace(/\r/g, '&#13;');
}
